"""`argosy rm`: removes weights from the cache, but not from under a fleet that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from argosy.models.cache import ModelCache


def rm(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME…", help="Catalog names or sources, as `argosy models` shows.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Also what a running fleet uses.")] = False,
) -> None:
    """Remove fetched weights, whole or half. A fleet that still wants them fetches them again when it starts."""
    from argosy.cli.fleets import read_environment
    from argosy.cli.models import size, users_of
    from argosy.errors import ArgosyError, InputError, SourceError
    from argosy.models.cache import ModelCache

    environment = read_environment()
    cache = ModelCache(environment.cache / "models")
    try:
        wanted = {name: _key(name, cache) for name in dict.fromkeys(names)}
        users = users_of(environment)
        for name, key in wanted.items():
            if users.get(key) and not force:
                raise InputError(
                    f"{name} is used by {', '.join(users[key])}; stop that one first, or say --force "
                    "(what runs goes on, but cannot start again without fetching it)"
                )
        for name, key in wanted.items():
            try:
                print(f"{name}: {size(cache.remove(key))} are free again")
            except SourceError as error:
                raise SourceError(f"{name}: {error}") from error
    except OSError as error:
        raise ArgosyError(f"cannot remove from {cache.root}: {error.strerror or error}") from error


def _key(name: str, cache: ModelCache) -> str:
    """Of a catalog name, of a source, or of a name that `argosy models` shows for one entry only."""
    from argosy.errors import InputError, SourceError
    from argosy.models.resolve import key_of

    entries = cache.entries()
    keys = {entry.key for entry in entries}
    try:
        key = key_of(name)
    except SourceError:
        key = None
    if key in keys:
        return str(key)
    alike = [
        entry
        for entry in entries
        if name in (entry.key, entry.record.name if entry.record else "", entry.record.source if entry.record else "")
    ]
    if len({entry.key for entry in alike}) == 1:
        return alike[0].key
    if alike:
        sources = " and ".join(entry.record.source for entry in alike if entry.record)
        raise InputError(f"{name} is the name of {sources}; give the source")
    raise InputError(f"{name} is not in {cache.root}; `argosy models` shows what is")
