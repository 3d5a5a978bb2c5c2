"""`argosy start`, `scale`, `restart`, `drain`: change what is wanted of a running fleet (`stop` is in stop.py).

All but a restart last until they are taken back or until the next `up`: docs/decisions/0005.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.errors import InputError

if TYPE_CHECKING:
    from argosy.fleet.client import ControllerClient
    from argosy.protocol.admin import DeploymentReport, FleetReport

_Name = Annotated[str, typer.Argument(help="A deployment.")]
_Fleet = Annotated[str | None, typer.Option(help="Which fleet, when more than one runs.")]


def start(
    name: Annotated[
        str,
        typer.Argument(metavar="gateway|workers|NAME", help="A deployment, or a replica that was drained (smollm2.1)."),
    ],
    fleet: _Fleet = None,
) -> None:
    """Start what was stopped: a deployment, the gateway, all workers; or a replica that was drained."""
    _ask(lambda controller: controller.start(name), fleet)
    print(f"{name}: starting; `argosy ps` shows when it is ready")


def scale(
    name: _Name,
    replicas: Annotated[str, typer.Argument(metavar="N", help="How many replicas it is to have.")],
    fleet: _Fleet = None,
) -> None:
    """Give a deployment more or fewer replicas, until the next `up`. Those that leave finish what they do."""
    if not (replicas.isascii() and replicas.isdigit()):
        raise InputError(
            f"scale {name} {replicas}: write how many replicas there are to be, a whole number from 0 on"
            f" (argosy scale {name} 2)"
        )
    found = _deployment(_ask(lambda controller: controller.scale(name, int(replicas)), fleet), name)
    stopped = f"; it is stopped: `argosy start {name}` starts it" if found is not None and found.stopped else ""
    print(f"{name}: {replicas} replica{'' if int(replicas) == 1 else 's'} wanted, until the next `argosy up`{stopped}")


def restart(name: _Name, fleet: _Fleet = None) -> None:
    """Replace every replica of a deployment, one after the other: while it has two or more, it keeps serving."""
    found = _deployment(_ask(lambda controller: controller.restart(name), fleet), name)
    alone = found is not None and found.wanted == 1
    how = "requests wait meanwhile, as it has one replica" if alone else "one replica after the other"
    print(f"{name}: restarting; {how}. `argosy ps` shows how far it is")


def drain(
    replica: Annotated[str, typer.Argument(help="A replica: smollm2.1, or one of a worker that has joined.")],
    fleet: _Fleet = None,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for running requests.")] = False,
) -> None:
    """Take one replica out: it finishes what it does, ends, and is not replaced until it is started."""
    from argosy.fleet.planner import joined_id

    if joined_id(replica):
        _drain_joined(replica, fleet, now=now)
        print(f"{replica}: {'ending' if now else 'draining'}; its worker ends, and `argosy worker` starts another")
        return
    name = replica.rpartition(".")[0]
    found = _deployment(_ask(lambda controller: controller.drain(replica), fleet), name)
    if now:  # the controller has said "drain" and starts no other: now its worker hears that it need not wait
        _drain_joined(replica, fleet, now=True, may_be_gone=True)
    print(f"{replica}: draining; it stays out until `argosy start {replica}`, `argosy scale {name} N` or the next `up`")
    if found is not None and found.wanted == 0:
        print(f"{name} has no replica left: its requests wait for one, then get a 503")


def _drain_joined(replica: str, fleet: str | None, *, now: bool, may_be_gone: bool = False) -> None:
    """By its gateway, which hears its worker: no controller has started that. Raises NotRunningError, InputError."""
    import asyncio

    from argosy.cli.fleets import gateway_client, read_environment, running_fleet
    from argosy.wire.client import Client
    from argosy.wire.tls import fleet_pins

    environment = read_environment()
    folder = running_fleet(environment, fleet)

    async def ask() -> None:
        client = Client(pins=fleet_pins(folder))
        try:
            gateway = gateway_client(folder, environment, client)
            known = {view.id for view in await gateway.replicas()}
            if replica in known or not may_be_gone:
                await gateway.drain(replica, now=now)
        finally:
            await client.close()

    asyncio.run(ask())


def _ask(change: Callable[[ControllerClient], Awaitable[FleetReport]], fleet: str | None) -> FleetReport:
    import asyncio

    from argosy.cli.fleets import controller_client, read_environment, running_fleet
    from argosy.wire.client import Client

    folder = running_fleet(read_environment(), fleet)

    async def ask() -> FleetReport:
        client = Client()
        try:
            async with controller_client(folder, client) as controller:
                return await change(controller)
        finally:
            await client.close()

    return asyncio.run(ask())


def _deployment(report: FleetReport, name: str) -> DeploymentReport | None:
    return next((each for each in report.deployments if each.name == name), None)
