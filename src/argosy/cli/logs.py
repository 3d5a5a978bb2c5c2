"""`argosy logs NAME`: the logs of a deployment's replicas, of one replica, of the gateway or the controller.

Files of this machine are read as they are; the log of a replica elsewhere comes through the gateway that it has joined.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from argosy.cli.tails import DistantTail, Tail
    from argosy.config.environment import Environment
    from argosy.fleet.gateway_client import GatewayClient
    from argosy.protocol.admin import ReplicaView
    from argosy.state import FleetFolder
    from argosy.wire.client import Client

_LOOK_SECONDS = 0.2
_AGAIN_SECONDS = 1.0


def logs(
    name: Annotated[str, typer.Argument(help="A deployment, a replica (smollm2.0), gateway or controller.")],
    fleet: Annotated[str | None, typer.Option(help="Which fleet, when there is more than one.")] = None,
    url: Annotated[
        str | None, typer.Option(help="A gateway elsewhere whose replicas are meant; its key in ARGOSY_ADMIN_KEY.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Show logs; also of a fleet that is down, and of replicas on other machines."""
    import asyncio

    from argosy.cli.fleets import read_environment

    environment = read_environment()
    asyncio.run(_show(name, environment, fleet=fleet, url=url, follow=follow, lines=lines))


async def _show(
    name: str, environment: Environment, *, fleet: str | None, url: str | None, follow: bool, lines: int
) -> None:
    import asyncio

    from argosy.cli.tails import DistantTail, Tail
    from argosy.state import Home
    from argosy.wire.client import Client
    from argosy.wire.tls import fleet_pins

    pins = fleet_pins(*Home(environment.home).fleets())
    client = Client(proxies=environment.variables if url is not None else None, pins=pins)
    try:
        if url is not None:
            files, elsewhere = dict[str, Path](), await _joined(_gateway_at(url, environment, client), name)
        else:
            folder = _folder(environment, fleet, name)
            files, elsewhere = await _places(folder, name, environment, client)
        names = [*files, *elsewhere]
        width = max(map(len, names))
        prefixes = {each: f"{each.ljust(width)} | " if len(names) > 1 else "" for each in names}
        here = [Tail(file, prefixes[each]) for each, file in files.items()]
        for tail in here:
            tail.last(lines)
        there = [DistantTail(gateway, each, prefixes[each]) for each, gateway in elsewhere.items()]
        await asyncio.gather(*(distant.last(lines) for distant in there))
        if follow:
            await _follow(here, there)
    finally:
        await client.close()


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


async def _places(
    folder: FleetFolder, name: str, environment: Environment, client: Client
) -> tuple[dict[str, Path], dict[str, GatewayClient]]:
    """Log name → file, of those here; replica → the gateway it has joined, of those whose logs are elsewhere."""
    from argosy.cli.fleets import gateway_client
    from argosy.errors import InputError, NotRunningError, UpstreamError
    from argosy.state import unquoted

    files = _found(folder, name)
    if name in files:
        return files, {}
    views: list[ReplicaView] = []
    elsewhere: dict[str, GatewayClient] = {}
    try:
        gateway = gateway_client(folder, environment, client)
        views = await gateway.replicas()
        elsewhere = {each: gateway for each in _named(views, name) if not folder.log(each).exists()}
    except (NotRunningError, UpstreamError):  # then what lies here is all that can be had
        pass
    if not files and not elsewhere:
        here = {unquoted(file.stem) for file in (folder.root / "logs").glob("*.log")}
        known = sorted(here | {view.id for view in views if view.worker_pid})
        raise InputError(f"fleet {folder.name} has no log of {name!r}; it has: {', '.join(known) or 'none'}")
    return files, elsewhere


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


def _named(views: list[ReplicaView], name: str) -> list[str]:
    """Replicas of that name or of that deployment that have a worker; a remote has none."""
    return sorted(view.id for view in views if view.worker_pid and name in (view.id, view.deployment))


def _gateway_at(url: str, environment: Environment, client: Client) -> GatewayClient:
    from argosy.config.values import check_url
    from argosy.errors import InputError
    from argosy.fleet.gateway_client import GatewayClient

    try:
        address = check_url(url).removesuffix("/v1")
    except ValueError:
        raise InputError(f"--url {url}: write a gateway's URL, such as http://127.0.0.1:8000") from None
    if environment.admin_key is None:
        raise InputError("logs of a gateway elsewhere want its admin key: set ARGOSY_ADMIN_KEY")
    return GatewayClient(client, address=address, admin_key=environment.admin_key)


async def _joined(gateway: GatewayClient, name: str) -> dict[str, GatewayClient]:
    from argosy.errors import InputError

    views = await gateway.replicas()
    if found := _named(views, name):
        return dict.fromkeys(found, gateway)
    known = ", ".join(sorted(view.id for view in views if view.worker_pid))
    raise InputError(f"no replica of {name!r} has joined that gateway; those that have: {known or 'none'}")


async def _follow(here: list[Tail], there: list[DistantTail]) -> None:
    """Until Ctrl-C."""
    import asyncio

    async with asyncio.TaskGroup() as group:
        for distant in there:
            group.create_task(_follow_distant(distant))
        while True:
            for tail in here:
                tail.more()
            await asyncio.sleep(_LOOK_SECONDS)  # the growth of a file is no event that could be awaited


async def _follow_distant(tail: DistantTail) -> None:
    """A gateway or a worker that is gone may be there again soon: told once, asked again."""
    import asyncio
    import sys

    from argosy.errors import ArgosyError

    trouble = ""
    while True:
        try:
            await tail.more()  # returns with the worker's next heartbeat: this is the pace
            trouble = ""
        except ArgosyError as error:
            if not trouble:
                print(f"argosy: {error}", file=sys.stderr, flush=True)
            trouble = str(error)
            await asyncio.sleep(_AGAIN_SECONDS)
