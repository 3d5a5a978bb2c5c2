"""A fleet for one command: served while that runs, taken away on every way out. Used by `argosy chat --source`."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from argosy.cli.down import take_down
from argosy.cli.follow import failures
from argosy.cli.progress import ProgressLines
from argosy.config.environment import Environment
from argosy.config.load import fleet_of_sources
from argosy.config.schema import Fleet
from argosy.errors import ArgosyError, UpstreamError
from argosy.fleet.bringup import bring_up
from argosy.fleet.client import ControllerClient
from argosy.fleet.exits import wait_exit
from argosy.fleet.observer import controller_of
from argosy.processes.identity import ProcessIdentity
from argosy.state import Home, read_json, write_json
from argosy.wire.client import Client

_PREFIX = "chat-"
_SECRETS = frozenset({"ARGOSY_API_KEY", "ARGOSY_ADMIN_KEY", "ARGOSY_JOIN_TOKEN"})  # of another fleet: it makes its own


@asynccontextmanager
async def private_fleet(source: str, environment: Environment) -> AsyncIterator[tuple[str, str]]:
    """The address and a client key of a gateway with this model, on loopback and a free port.

    Its controller watches this process and takes the fleet down, with its folder, when that is gone, also when it was
    killed. Raises InputError for a source that is none, ArgosyError with the reason when it cannot be served.
    """
    wanted = fleet_of_sources([source], environment)
    gateway = wanted.gateway.model_copy(update={"port": 0})
    fleet = wanted.model_copy(update={"name": f"{_PREFIX}{secrets.token_hex(4)}", "gateway": gateway, "grace": 0.0})
    home = Home(environment.home)
    folder, client = home.fleet(fleet.name), Client()
    key = folder.make_secret("client_key")
    write_json(folder.owner, ProcessIdentity.own())
    try:
        await _sweep(home)
        variables = {name: value for name, value in environment.variables.items() if name not in _SECRETS}
        controller, identity = await bring_up(folder, fleet, client, variables=variables)
        try:
            yield await _ready(controller, fleet), key
        finally:
            with contextlib.suppress(UpstreamError):  # it died: the next private fleet takes away what it left
                await controller.down(now=True)
            await wait_exit(identity)
    finally:
        await client.close()


async def _sweep(home: Home) -> None:
    """Takes away what is left of private fleets whose owner and controller were both killed."""
    for folder in home.fleets():
        owner = read_json(folder.owner, ProcessIdentity)
        if owner is not None and not owner.alive and controller_of(folder) is None:
            await take_down(folder, now=True)
            shutil.rmtree(folder.root, ignore_errors=True)


async def _ready(controller: ControllerClient, fleet: Fleet) -> str:
    """The gateway's address, once the model is served."""
    lines = ProgressLines(sys.stderr)
    try:
        async for event in controller.events():
            if event.kind == "fleet" and event.state in ("ready", "failed"):
                break
            if event.state != "stopped" and event.kind != "fleet":
                lines.event(event)
    finally:
        lines.close()
    report = await controller.report()
    address = next((gateway.address for gateway in report.gateways if gateway.address), None)
    if address is None or event.state != "ready":
        raise ArgosyError("\n".join(failures(report)) or f"fleet {fleet.name} does not come up")
    return address
