"""Everything that is looked at, all at once, told in a fixed order."""

from __future__ import annotations

import asyncio

from argosy.config.environment import Environment
from argosy.doctor import machine, network
from argosy.doctor.finding import Finding
from argosy.doctor.fleets import fleets
from argosy.wire.client import Client

_GIB = 1024**3


async def checkup(environment: Environment) -> list[Finding]:
    client = Client()
    try:
        of_fleets, engines, hubs = await asyncio.gather(
            fleets(environment, client),
            asyncio.to_thread(machine.engines),
            asyncio.to_thread(network.hubs, environment),
        )
    finally:
        await client.close()
    return [
        machine.python(),
        machine.folder("home", environment.home, variable="ARGOSY_HOME", wanted_bytes=_GIB, private=True),
        machine.folder("cache", environment.cache, variable="ARGOSY_CACHE", wanted_bytes=5 * _GIB, private=False),
        machine.memory(),
        machine.clock(),
        *of_fleets,
        engines,
        *hubs,
    ]
