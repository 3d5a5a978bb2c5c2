"""`argosy ps`: what runs, and why the rest does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from argosy.config.environment import Environment
    from argosy.protocol.admin import FleetReport
    from argosy.state import FleetFolder


def ps(
    fleet: Annotated[str | None, typer.Option(help="Which fleet, when more than one runs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts; stays stable.")] = False,
) -> None:
    """Show deployments and replicas, their state and its reason."""
    import asyncio
    import time

    import msgspec

    from argosy.cli.fleets import read_environment, running_fleet, running_fleets
    from argosy.cli.render import fleet_text

    environment = read_environment()
    if fleet is None and not as_json and len(several := running_fleets(environment)) > 1:
        reports = [asyncio.run(_report(folder, environment)) for folder in several]
        print("\n\n".join(fleet_text(report, time.time()) for report in reports))
        return
    report = asyncio.run(_report(running_fleet(environment, fleet), environment))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        print(fleet_text(report, time.time()))


async def _report(folder: FleetFolder, environment: Environment) -> FleetReport:
    from argosy.cli.fleets import report_of
    from argosy.wire.client import Client
    from argosy.wire.tls import fleet_pins

    client = Client(pins=fleet_pins(folder))
    try:
        return await report_of(folder, environment, client)
    finally:
        await client.close()
