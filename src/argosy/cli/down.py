"""`argosy down`: ends a fleet and everything it started, with or without its controller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from argosy.state import FleetFolder


def down(
    fleet: Annotated[str | None, typer.Option(help="Which fleet, when more than one runs.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every fleet.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for running requests.")] = False,
) -> None:
    """Stop a fleet: running requests get its grace period, then nothing is left."""
    import asyncio

    from argosy.cli.fleets import read_environment, running_fleet, running_fleets
    from argosy.errors import NotRunningError

    environment = read_environment()
    folders = running_fleets(environment) if everything else [running_fleet(environment, fleet)]
    if not folders:
        raise NotRunningError("no fleet runs.")
    for folder in folders:
        asyncio.run(take_down(folder, now=now))
        print(f"fleet {folder.name} is down")


async def take_down(folder: FleetFolder, *, now: bool) -> None:
    """By the controller while it lives; by the folder alone where it does not or dies over it."""
    import contextlib

    from argosy.cli.fleets import controller_client
    from argosy.errors import NotRunningError
    from argosy.fleet.exits import wait_exit
    from argosy.fleet.observer import controller_of, runs
    from argosy.wire.client import Client
    from argosy.wire.tls import fleet_pins

    record = controller_of(folder)
    client = Client(pins=fleet_pins(folder))
    try:
        if record is not None:
            with contextlib.suppress(NotRunningError):
                async with controller_client(folder, client) as controller:
                    await controller.down(now=now)
                await wait_exit(record.identity)
    finally:
        await client.close()
    if runs(folder):
        await _take_down_by_folder(folder, now=now)


async def _take_down_by_folder(folder: FleetFolder, *, now: bool) -> None:
    import asyncio
    import signal

    from argosy.config.schema import Fleet
    from argosy.fleet.endings import end_process
    from argosy.fleet.local import LocalLauncher
    from argosy.fleet.observer import controller_of, desired_of
    from argosy.fleet.shutdown import take_down as take_down_fleet

    hurry = asyncio.Event()
    if now:
        hurry.set()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, hurry.set)
    desired = desired_of(folder)
    fleet = desired.fleet if desired is not None else Fleet(name=folder.name)
    if (record := controller_of(folder)) is not None:  # it lives and does not answer
        await end_process(record.identity, polite_seconds=fleet.grace, hurry=hurry)
    launcher = LocalLauncher(folder)
    try:
        await take_down_fleet(folder, launcher, grace_seconds=fleet.grace, hurry=hurry)
    finally:
        await launcher.close()
