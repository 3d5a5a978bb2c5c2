"""`argosy plan`: where every replica would run and why, what has no place, and what `argosy up` would change."""

from __future__ import annotations

from typing import Annotated

import typer


def plan(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE.yaml | SOURCE…]", help="A fleet file (default: fleet.yaml), or models."),
    ] = None,
    fleet: Annotated[str | None, typer.Option(help="The fleet's name, instead of the file's.")] = None,
    gpus: Annotated[str | None, typer.Option(help="GPUs for the models that are named, such as 2,3.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts; stays stable.")] = False,
) -> None:
    """Show where every replica would run; start nothing. Exit code 1 when one has no place."""
    import asyncio

    import msgspec

    from argosy.cli.fleets import fleet_folder, read_environment
    from argosy.cli.plan_text import plan_text
    from argosy.cli.up import wanted_fleet
    from argosy.fleet.outlook import forecast_of

    environment = read_environment()
    wanted = wanted_fleet(what or [], environment, gpus)
    folder = fleet_folder(environment, fleet or wanted.name)
    found = asyncio.run(forecast_of(wanted, folder, environment))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print(plan_text(found))
    raise typer.Exit(0 if found.possible else 1)
