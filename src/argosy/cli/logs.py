"""`argosy logs NAME`: the log files of a deployment's replicas, of one replica, of the gateway or the controller."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from argosy.config.environment import Environment
    from argosy.state import FleetFolder

_LOOK_SECONDS = 0.2


def logs(
    name: Annotated[str, typer.Argument(help="A deployment, a replica (smollm2.0), gateway or controller.")],
    fleet: Annotated[str | None, typer.Option(help="Which fleet, when there is more than one.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Show logs; also of a fleet that is down."""
    from argosy.cli.fleets import read_environment

    environment = read_environment()
    files = _files(_folder(environment, fleet, name), name)
    width = max(map(len, files))
    tails = [Tail(file, f"{who.ljust(width)} | " if len(files) > 1 else "") for who, file in files.items()]
    for tail in tails:
        tail.last(lines)
    if follow:
        _follow(tails)


class Tail:
    """Reads what is appended to one file, also across its rotation by truncation."""

    def __init__(self, path: Path, prefix: str) -> None:
        self._path = path
        self._prefix = prefix
        self._offset = 0
        self._rest = b""

    def last(self, count: int) -> None:
        data = self._read()
        whole = data.splitlines()
        if data and not data.endswith(b"\n"):
            self._rest = whole.pop()
        self._print(whole[-count:] if count else [])

    def more(self) -> None:
        *whole, self._rest = (self._rest + self._read()).split(b"\n")
        self._print(whole)

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._offset:  # rotated: it was copied away and truncated
                    self._offset = 0
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return b""
        self._offset += len(data)
        return data

    def _print(self, lines: list[bytes]) -> None:
        for line in lines:
            print(f"{self._prefix}{line.decode(errors='replace')}", flush=True)


def _folder(environment: Environment, fleet: str | None, name: str) -> FleetFolder:
    """A running fleet's, else one that has such a log: the log of what failed is wanted most when it is down."""
    from argosy.cli.fleets import fleet_folder, running_fleet
    from argosy.errors import NotRunningError
    from argosy.state import Home

    if fleet is not None:
        folder = fleet_folder(environment, fleet)
        if folder.root.is_dir():
            return folder
        raise NotRunningError(f"there is no fleet {fleet!r}")
    try:
        return running_fleet(environment, None)
    except NotRunningError:
        with_logs = [folder for folder in Home(environment.home).fleets() if _found(folder, name)]
        if len(with_logs) != 1:
            raise
        return with_logs[0]


def _files(folder: FleetFolder, name: str) -> dict[str, Path]:
    from argosy.errors import InputError
    from argosy.state import unquoted

    if found := _found(folder, name):
        return found
    known = sorted(unquoted(file.stem) for file in (folder.root / "logs").glob("*.log"))
    raise InputError(f"fleet {folder.name} has no log of {name!r}; it has: {', '.join(known) or 'none'}")


def _found(folder: FleetFolder, name: str) -> dict[str, Path]:
    """Log name → file: the one of that name, or those of a deployment's replicas."""
    from argosy.state import unquoted

    if folder.log(name).exists():
        return {name: folder.log(name)}
    found = {unquoted(file.stem): file for file in (folder.root / "logs").glob("*.log")}
    replicas = {each: file for each, file in found.items() if each.rpartition(".")[0] == name}
    present = {each: file for each, file in replicas.items() if each in folder.replicas()}
    replicas = present or replicas  # while the fleet runs, not those of an earlier one
    return dict(sorted(replicas.items(), key=lambda item: (len(item[0]), item[0])))


def _follow(tails: list[Tail]) -> None:
    import time

    while True:
        for tail in tails:
            tail.more()
        time.sleep(_LOOK_SECONDS)  # the growth of a file is no event that could be awaited
