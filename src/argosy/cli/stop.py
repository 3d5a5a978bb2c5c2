"""`argosy stop all|gateway|workers|NAME`: lets what runs finish, ends it, and returns when it is gone.

What is wanted of a fleet changes by its controller (docs/decisions/0005). Where there is none, and for workers that
were started by hand, the processes themselves are asked to drain: only those that this home has recorded.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.errors import InputError, NotRunningError

if TYPE_CHECKING:
    from argosy.config.environment import Environment
    from argosy.fleet.joined import JoinedWorker
    from argosy.protocol.admin import FleetReport
    from argosy.state import FleetFolder


def stop(
    name: Annotated[
        str, typer.Argument(metavar="all|gateway|workers|NAME", help="A deployment, or all of one kind, or everything.")
    ],
    fleet: Annotated[str | None, typer.Option(help="Which fleet, when more than one runs.")] = None,
) -> None:
    """Stop a deployment, the door, all workers or everything: what runs finishes first. Hand-started workers too."""
    from argosy.cli.fleets import read_environment

    environment = read_environment()
    if name == "all":
        lines = asyncio.run(_stop_all(fleet, environment))
    elif name == "gateway":
        lines = asyncio.run(_stop_gateway(fleet, environment))
    else:
        lines = asyncio.run(_stop_replicas(name, fleet, environment))
    print("\n".join(lines))


async def _stop_all(fleet: str | None, environment: Environment) -> list[str]:
    from argosy.cli.down import take_down
    from argosy.cli.fleets import running_fleet, running_fleets

    folders = running_fleets(environment) if fleet is None else [running_fleet(environment, fleet)]
    workers = _by_hand(environment, fleet)
    if not folders and not workers:
        raise NotRunningError("nothing runs.")
    for folder in folders:  # the doors first: what came in by them is finished, and nothing new comes
        await take_down(folder, now=False)
    return [*(f"fleet {folder.name} is down" for folder in folders), *await _end(workers)]


async def _stop_gateway(fleet: str | None, environment: Environment) -> list[str]:
    from argosy.cli.fleets import running_fleet
    from argosy.fleet.endings import end_process
    from argosy.fleet.exits import wait_exit
    from argosy.fleet.observer import gateway_of, grace_of, is_wanted

    folder = running_fleet(environment, fleet)
    record = gateway_of(folder)
    if is_wanted(folder):
        await _ask_controller(folder, "gateway")
        if record is not None:
            await wait_exit(record.identity)
        return ["gateway: stopped; the workers keep their models loaded. `argosy start gateway` opens the door again"]
    if record is None:
        raise NotRunningError(f"the gateway of fleet {folder.name} does not run (argosy ps)")
    await end_process(record.identity, polite_seconds=grace_of(folder))
    return ["gateway: stopped; workers that joined it keep their models loaded and ask for it again"]


async def _stop_replicas(name: str, fleet: str | None, environment: Environment) -> list[str]:
    """Of one deployment, or all (`workers`)."""
    from argosy.cli.fleets import running_fleet, running_fleets
    from argosy.fleet.observer import is_wanted

    every = name == "workers"
    workers = [each for each in _by_hand(environment, fleet) if every or name in (each.deployment, each.replica)]
    ran = bool(running_fleets(environment))
    lines = []
    if ran or not workers:
        folder = running_fleet(environment, fleet)
        if is_wanted(folder):
            lines += await _stop_wanted(folder, name, by_hand=bool(workers))
        elif not every:
            lines += await _drain_elsewhere(folder, name, workers, environment)
    lines += await _end(workers)
    if not lines:
        raise InputError(f"nothing of {name!r} runs here (argosy ps shows what does)")
    return lines


async def _stop_wanted(folder: FleetFolder, name: str, *, by_hand: bool) -> list[str]:
    """Deployments that the controller keeps; it is told first, as it would start others."""
    from argosy.fleet.exits import wait_exit
    from argosy.fleet.planner import planned_id
    from argosy.processes.identity import ProcessIdentity

    try:
        report = await _ask_controller(folder, name)
    except (InputError, NotRunningError):
        if by_hand and name != "workers":  # a worker that was started by hand brought this name along
            return []
        raise
    stopped = [each for each in report.deployments if each.stopped and name in ("workers", each.name)]
    pids = [each.worker_pid for found in stopped for each in found.replicas if planned_id(each.id)]
    for pid in filter(None, pids):
        try:
            await wait_exit(ProcessIdentity.of(pid))
        except ProcessLookupError:
            continue
    return [
        f"{each.name}: stopped; it stays stopped until `argosy start {each.name}` or the next `argosy up`"
        for each in stopped
    ]


async def _drain_elsewhere(
    folder: FleetFolder, name: str, here: list[JoinedWorker], environment: Environment
) -> list[str]:
    """Replicas whose worker runs on another machine: the gateway tells them by the answers to their heartbeats."""
    from argosy.cli.fleets import gateway_client
    from argosy.wire.client import Client
    from argosy.wire.tls import fleet_pins

    client = Client(pins=fleet_pins(folder))
    try:
        gateway = gateway_client(folder, environment, client)
        own = {each.replica for each in here}
        found = [each for each in await gateway.replicas() if name in (each.deployment, each.id) and each.worker_pid]
        others = [each.id for each in found if each.id not in own]
        for replica in others:
            await gateway.drain(replica, now=False)
    finally:
        await client.close()
    return [f"{replica}: draining on its machine; its worker ends when its requests are through" for replica in others]


def _by_hand(environment: Environment, fleet: str | None) -> list[JoinedWorker]:
    """Of this home; with --fleet, of that fleet."""
    from argosy.cli.fleets import fleet_folder
    from argosy.fleet.joined import joined_workers
    from argosy.state import Home

    found = joined_workers(Home(environment.home))
    if fleet is None:
        return list(found)
    replicas = fleet_folder(environment, fleet).root / "replicas"
    return [each for each in found if each.files.root.parent == replicas]


async def _end(workers: list[JoinedWorker]) -> list[str]:
    from argosy.fleet.joined import end_joined

    await asyncio.gather(*(end_joined(each) for each in workers))
    return [f"{each.replica}: stopped (its worker was started by hand)" for each in workers]


async def _ask_controller(folder: FleetFolder, name: str) -> FleetReport:
    from argosy.cli.fleets import controller_client
    from argosy.wire.client import Client

    client = Client()
    try:
        async with controller_client(folder, client) as controller:
            return await controller.stop(name)
    finally:
        await client.close()
