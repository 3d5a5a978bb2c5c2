"""`argosy key new`, `list`, `rm`: the client keys of a fleet, in the file that its gateway watches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

key = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make, show and remove client keys.")

_Name = Annotated[str, typer.Argument(help="Whose key it is; it stands in the request log.")]
_File = Annotated[
    Path | None, typer.Option("--file", help="The file of client keys (default: the one the running gateway watches).")
]
_Fleet = Annotated[str | None, typer.Option(help="Which fleet, when more than one runs.")]
_Limit = Annotated[int | None, typer.Option(min=1, help="At most so many, at each gateway.")]


@key.command("new")
def new(
    name: _Name,
    *,
    models: Annotated[
        list[str] | None, typer.Option("--models", help="Models it may use, globs too, comma separated; repeatable.")
    ] = None,
    requests_per_minute: _Limit = None,
    tokens_per_minute: _Limit = None,
    concurrent: _Limit = None,
    file: _File = None,
    fleet: _Fleet = None,
) -> None:
    """Make a client key and print it, once: only its SHA-256 is kept. A running gateway takes it within a second."""
    import secrets
    import sys

    from argosy.config.client_keys import ClientKey, add_key, digest

    path = _file(file, fleet)
    first = not path.exists()
    made = f"sk-argosy-{secrets.token_urlsafe(32)}"
    allowed = [each.strip() for given in models or () for each in given.split(",") if each.strip()]
    add_key(
        path,
        name,
        ClientKey(
            sha256=digest(made.encode()),
            models=tuple(allowed) or None,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            concurrent_requests=concurrent,
        ),
    )
    print(made)
    print(f"{name}: its SHA-256 is in {path}; the key itself is shown only now", file=sys.stderr)
    if first and file is None:
        print("from now on this fleet's gateway wants a client key", file=sys.stderr)


@key.command("list")
def list_keys(
    *,
    file: _File = None,
    fleet: _Fleet = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts; stays stable.")] = False,
) -> None:
    """Show the client keys of the file, with their limits."""
    import json

    from argosy.cli.render import table
    from argosy.config.client_keys import read_keys

    path = _file(file, fleet)
    keys = read_keys(path) if path.exists() else {}
    if as_json:
        print(json.dumps([{"name": name, **each.model_dump(mode="json")} for name, each in keys.items()], indent=2))
        return
    if not keys:
        print(f"no client key in {path}: `argosy key new NAME` makes one")
        return
    rows = [
        [
            name,
            ",".join(each.models or ("all",)),
            *(str(limit or "-") for limit in (each.requests_per_minute, each.tokens_per_minute)),
            str(each.concurrent_requests or "-"),
            each.sha256[:12],
        ]
        for name, each in keys.items()
    ]
    print(table(["KEY", "MODELS", "REQUESTS/MIN", "TOKENS/MIN", "CONCURRENT", "SHA-256"], rows))


@key.command("rm")
def rm(name: _Name, *, file: _File = None, fleet: _Fleet = None) -> None:
    """Remove a client key. A running gateway refuses it within a second; its requests that run are finished."""
    from argosy.config.client_keys import remove_key

    path = _file(file, fleet)
    remove_key(path, name)
    print(f"{name}: removed from {path}")


def _file(file: Path | None, fleet: str | None) -> Path:
    """Raises NotRunningError, InputError where no file was named and no gateway tells one."""
    from argosy.cli.fleets import read_environment, running_fleet
    from argosy.errors import NotRunningError
    from argosy.state import ProcessRecord, read_json

    if file is not None:
        return file.absolute()
    folder = running_fleet(read_environment(), fleet)
    record = read_json(folder.gateway, ProcessRecord)
    if record is None or record.client_keys is None:
        raise NotRunningError(f"no gateway of fleet {folder.name} tells its file of client keys: name it with --file")
    return Path(record.client_keys)
