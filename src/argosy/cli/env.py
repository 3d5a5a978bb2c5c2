"""`argosy env ls`, `build`, `rm`: the Python environments that engines run in, kept in ARGOSY_CACHE."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from argosy.config.environment import Environment
    from argosy.config.recipe import EnvironmentRecipe

env = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Show, build and remove engines' environments.")

_TARGETS = "Fleet files, or engines whose own environment is meant (default: fleet.yaml)."
_LONGEST = 60


@env.command("ls")
def ls(as_json: Annotated[bool, typer.Option("--json", help="For scripts; stays stable.")] = False) -> None:
    """Show the environments that were built: what is in them, their size, last use, who uses them."""
    import json
    import time

    from argosy.cli.fleets import read_environment
    from argosy.cli.models import ago, size
    from argosy.cli.render import table
    from argosy.errors import ArgosyError

    environment = read_environment()
    try:
        found = listing(environment)
    except OSError as error:
        raise ArgosyError(f"cannot read {environment.cache}: {error.strerror or error}") from error
    folder = environment.cache / "environments"
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif not found:
        print(f"{folder} is empty; `argosy env build` makes what a fleet file needs")
    else:
        rows = [
            [
                each["key"],
                each["python"] or "",
                size(each["size_bytes"]),
                ago(time.time() - each["used"]),
                ", ".join(each["used_by"]),
                _what(each),
            ]
            for each in found
        ]
        print(f"In {folder}: {size(sum(each['size_bytes'] for each in found))}")
        print(table(["KEY", "PYTHON", "SIZE", "USED", "BY", "REQUIREMENTS"], rows))


@env.command("build")
def build(targets: Annotated[list[str] | None, typer.Argument(metavar="[TARGET…]", help=_TARGETS)] = None) -> None:
    """Build environments before they are needed; those that are there are left alone."""
    import sys
    import threading

    from argosy.cli.fleets import read_environment
    from argosy.cli.in_place import InPlace
    from argosy.environments.build import obtain
    from argosy.errors import BuildError

    environment = read_environment()
    failures = []
    for name, recipe in _wanted(targets or ["fleet.yaml"], environment):
        if recipe is None:
            print(f"{name}: needs none")
            continue
        draw = InPlace()
        try:
            python = obtain(
                recipe,
                cache=environment.cache,
                variables=environment.for_others(),
                report=draw,
                cancelled=threading.Event(),  # Ctrl-C ends this process, and what it started with it
            )
        except BuildError as error:
            failures.append(error)
            print(f"{draw.clear}argosy: {name}: {error}", file=sys.stderr, flush=True)
        else:
            print(f"{draw.clear}{name}: {python.parent.parent}", flush=True)
    if failures:
        raise typer.Exit(failures[0].exit_code)


@env.command("rm")
def rm(
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY…]", help="As `argosy env ls` shows them.")] = None,
    unused: Annotated[bool, typer.Option("--unused", help="All that no running fleet uses.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also what a running fleet uses.")] = False,
) -> None:
    """Remove environments. A fleet that still wants one builds it again when it starts."""
    from argosy.cli.fleets import read_environment
    from argosy.cli.models import size
    from argosy.environments.cache import EnvironmentCache
    from argosy.errors import ArgosyError, BuildError, InputError

    if bool(keys) == unused:
        raise InputError("which? Name the keys that `argosy env ls` shows, or say --unused")
    environment = read_environment()
    cache = EnvironmentCache(environment.cache / "environments")
    try:
        users = {each["key"]: each["used_by"] for each in listing(environment)}
        wanted = keys or [key for key, used_by in users.items() if not used_by]
        for key in wanted:
            if key not in users:
                raise InputError(f"{key} is not in {cache.root}; `argosy env ls` shows what is")
            if users[key] and not force:
                raise InputError(f"{key} is used by {', '.join(users[key])}; stop that one first, or say --force")
        for key in wanted:
            try:
                print(f"{key}: {size(cache.remove(key))} are free again")
            except BuildError as error:
                raise BuildError(f"{key}: {error}") from error
    except OSError as error:
        raise ArgosyError(f"cannot remove from {cache.root}: {error.strerror or error}") from error


def listing(environment: Environment) -> list[dict[str, Any]]:
    """Raises OSError."""
    from argosy.environments.cache import EnvironmentCache

    users = _users(environment)
    return [
        {
            "key": entry.key,
            "python": entry.record.built.python if entry.record else None,
            "requirements": list(entry.record.recipe.get("requirements", [])) if entry.record else [],
            "packages": entry.record.built.packages if entry.record else [],
            "installer": entry.record.built.installer if entry.record else None,
            "size_bytes": entry.size_bytes,
            "used": int(entry.used),
            "whole": entry.record is not None,
            "building": entry.building,
            "used_by": users.get(entry.key, []),
        }
        for entry in EnvironmentCache(environment.cache / "environments").entries()
    ]


def _users(environment: Environment) -> Mapping[str, list[str]]:
    """Key → FLEET/DEPLOYMENT of running fleets whose engine runs in it."""
    from argosy.cli.fleets import running_fleets
    from argosy.config.engine_fields import environments_of
    from argosy.environments.cache import key_of
    from argosy.fleet.observer import fleet_of
    from argosy.state import DesiredState, read_json

    users: dict[str, list[str]] = {}
    for folder in running_fleets(environment):
        desired = read_json(folder.desired, DesiredState)
        for name, recipe in environments_of(fleet_of(desired, folder), environment).items() if desired else ():
            users.setdefault(key_of(recipe), []).append(f"{folder.name}/{name}")
    return users


def _wanted(targets: Sequence[str], environment: Environment) -> Iterator[tuple[str, EnvironmentRecipe | None]]:
    """Each environment once, under the names that want it. Raises InputError."""
    from argosy.config.engine_fields import default_environment, environments_of
    from argosy.config.load import load_fleet
    from argosy.config.schema import Deployment
    from argosy.engines import catalog

    for target in targets:
        if target in catalog.NAMES and not Path(target).exists():
            some = Deployment.model_construct()
            yield target, None if target == "remote" else default_environment(target, some)
            continue
        shared: dict[EnvironmentRecipe, list[str]] = {}
        for name, recipe in environments_of(load_fleet(Path(target), environment), environment).items():
            shared.setdefault(recipe, []).append(name)
        if not shared:
            yield target, None
        for recipe, names in shared.items():
            yield ", ".join(names), recipe


def _what(entry: Mapping[str, Any]) -> str:
    if not entry["whole"]:
        return "being built" if entry["building"] else "half built; the next build removes it"
    text = ", ".join(entry["requirements"])
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
