"""`argosy up`: brings a fleet up, or changes the one that runs. Attached, it ends the fleet when it ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from argosy.config.environment import Environment
    from argosy.config.schema import Fleet
    from argosy.state import FleetFolder

_DEFAULT_FILE = Path("fleet.yaml")


def up(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE.yaml | SOURCE…]", help="A fleet file (default: fleet.yaml), or models."),
    ] = None,
    *,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when all is ready or failed.")] = False,
    fleet: Annotated[str | None, typer.Option(help="The fleet's name, instead of the file's.")] = None,
    host: Annotated[
        str | None, typer.Option(help="Address that the gateway listens on, instead of the file's.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The gateway's port, instead of the file's.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=10000, help="Requests in flight per replica, of every deployment.")
    ] = None,
    gpus: Annotated[str | None, typer.Option(help="GPUs for the models that are named, such as 2,3.")] = None,
) -> None:
    """Serve what a fleet file asks for, or the models that are named. Ctrl-C stops all of it; with -d, `down` does."""
    import asyncio

    from argosy.cli.fleets import fleet_folder, read_environment
    from argosy.config.fastchat_variables import notes

    environment = read_environment()
    wanted = wanted_fleet(what or [], environment, gpus)
    if fleet is not None:
        fleet_folder(environment, fleet)  # checks the name
        wanted = wanted.model_copy(update={"name": fleet})
    wanted = with_flags(wanted, host=host, port=port, concurrency=concurrency)
    folder = fleet_folder(environment, wanted.name)
    for note in notes(environment.variables):
        print(f"note: {note}")
    _prepare(folder, wanted, environment)
    from argosy.cli.follow import bring_up_and_follow

    raise typer.Exit(asyncio.run(bring_up_and_follow(folder, wanted, environment, detach=detach)))


def with_flags(wanted: Fleet, *, host: str | None, port: int | None, concurrency: int | None) -> Fleet:
    """What the command line says instead of the file."""
    door = {field: value for field, value in (("host", host), ("port", port)) if value is not None}
    changes: dict[str, object] = {"gateway": wanted.gateway.model_copy(update=door)} if door else {}
    if concurrency is not None:
        changes["deployments"] = {
            name: each.model_copy(update={"concurrency": concurrency}) for name, each in wanted.deployments.items()
        }
    return wanted.model_copy(update=changes)


def wanted_fleet(what: Sequence[str], environment: Environment, gpus: str | None = None) -> Fleet:
    """What the arguments mean. Raises InputError with everything that is wrong with it."""
    from argosy.config.gpus import indices_of
    from argosy.config.load import fleet_of_sources, load_fleet
    from argosy.errors import InputError

    files = [each for each in what if Path(each).suffix in (".yaml", ".yml")]
    pins = indices_of(gpus) if gpus is not None else None
    if pins is not None and (files or not what):
        raise InputError("--gpus is for models that are named here; in a fleet file write gpus: for each of them")
    if files and len(what) > 1:
        raise InputError(f"one fleet file, or sources without one: got {' '.join(what)}")
    if files:
        return load_fleet(Path(files[0]), environment)
    if what:
        return fleet_of_sources(what, environment, pins)
    if not _DEFAULT_FILE.exists():
        raise InputError(
            "no fleet.yaml here. Name a fleet file or a model: `argosy up smollm2` serves the demonstration model."
        )
    return load_fleet(_DEFAULT_FILE, environment)


def _prepare(folder: FleetFolder, wanted: Fleet, environment: Environment) -> None:
    """Whatever can be known to go wrong is found here, before anything starts; and what changes is said."""
    import asyncio

    from argosy.app.settings import make_client_key
    from argosy.cli.plan_text import short_plan_text
    from argosy.fleet.address import port_of
    from argosy.fleet.difference import difference_text
    from argosy.fleet.observer import controller_of, desired_of, runs
    from argosy.fleet.outlook import forecast_of
    from argosy.fleet.port import check_port
    from argosy.state import Home, ProcessRecord, read_json

    gateway = wanted.gateway
    record = read_json(folder.gateway, ProcessRecord)
    serving = record is not None and record.identity.alive and record.address is not None
    if not (serving and record is not None and gateway.port in (0, port_of(record.address or ""))):
        check_port(gateway.host, gateway.port, Home(environment.home))
    if (made := make_client_key(wanted, folder, environment)) is not None:
        print(f"client key (made just now, shown once): {made}")
    if text := short_plan_text(asyncio.run(forecast_of(wanted, folder, environment))):
        print(text)
    if not runs(folder):
        return
    known = desired_of(folder)
    if controller_of(folder) is None:
        print(f"fleet {folder.name} runs without its controller: adopting what runs")
    else:
        print(f"fleet {folder.name} runs already")
    print(difference_text(known, wanted) if known else "  nothing changes")
