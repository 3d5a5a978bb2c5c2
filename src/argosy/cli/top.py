"""`argosy top`: a fleet's figures, live. Draws; what it shows is `argosy ps`'s report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from argosy.config.environment import Environment
    from argosy.protocol.admin import FleetReport
    from argosy.state import FleetFolder


def top(fleet: Annotated[str | None, typer.Option(help="Which fleet, when more than one runs.")] = None) -> None:
    """Show a fleet live, once a second. q or Ctrl-C ends it."""
    import asyncio
    import sys

    from argosy.cli.fleets import read_environment, running_fleet
    from argosy.errors import InputError

    environment = read_environment()
    folder = running_fleet(environment, fleet)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("argosy top wants a terminal; `argosy ps` shows the same once, `argosy ps --json` for scripts")
    if asyncio.run(_show(folder, environment)):
        print(f"fleet {folder.name} is down")


async def _show(folder: FleetFolder, environment: Environment) -> bool:
    """Until q, Ctrl-C or SIGTERM (False), or until the fleet is down (True)."""
    import asyncio
    import contextlib
    import time

    from rich.live import Live

    from argosy.cli.dashboard import screen
    from argosy.cli.fleets import report_of
    from argosy.cli.keys import keys_end
    from argosy.fleet.observer import runs
    from argosy.wire.client import Client
    from argosy.wire.tls import fleet_pins

    client, done = Client(pins=fleet_pins(folder)), asyncio.Event()
    try:
        with keys_end(done), Live(screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while not done.is_set():
                if not runs(folder):
                    return True
                report = await _unless(done, report_of(folder, environment, client))
                if report is None:
                    break
                size = live.console.size
                live.update(screen(report, time.time(), columns=size.width, lines=size.height), refresh=True)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await done.wait()
    finally:
        await client.close()
    return False


async def _unless(done: asyncio.Event, asking: Coroutine[object, object, FleetReport]) -> FleetReport | None:
    """What is asked for; None as soon as `done` is set: a controller that hangs must not hold a key press back."""
    import asyncio

    asked, pressed = asyncio.create_task(asking), asyncio.create_task(done.wait())
    try:
        await asyncio.wait({asked, pressed}, return_when=asyncio.FIRST_COMPLETED)
        return asked.result() if asked.done() else None
    finally:
        for task in (asked, pressed):
            task.cancel()
