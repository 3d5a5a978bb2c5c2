"""Everything that is looked at, all at once, told in a fixed order."""

from __future__ import annotations

import asyncio
from pathlib import Path

from argosy.config.budget import shortage
from argosy.config.environment import Environment
from argosy.config.load import load_fleet
from argosy.config.schema import Fleet
from argosy.doctor import machine, network
from argosy.doctor.finding import Finding
from argosy.doctor.fleets import fleets
from argosy.errors import FleetFileError
from argosy.state import Home
from argosy.wire.client import Client
from argosy.wire.tls import fleet_pins

_GIB = 1024**3


async def checkup(environment: Environment, file: Path | None = None) -> list[Finding]:
    """`file`: a fleet file that is to come up here."""
    of_file, wanted = _file(file, environment) if file is not None else ([], None)
    client = Client(pins=fleet_pins(*Home(environment.home).fleets()))
    try:
        of_fleets, engines, hubs = await asyncio.gather(
            fleets(environment, client, wanted),
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
        machine.gpus(environment),
        machine.clock(),
        *of_file,
        *of_fleets,
        engines,
        *hubs,
    ]


def _file(path: Path, environment: Environment) -> tuple[list[Finding], Fleet | None]:
    """Whether it can come up on this machine; None with faults."""
    try:
        fleet = load_fleet(path, environment)
    except FleetFileError as error:
        return [Finding("file", "fail", f"{path}: {fault}") for fault in error.faults], None
    if short := shortage(fleet, environment):
        said, _, cure = short.partition(": ")
        return [Finding("file", "warn", f"{path}: {said}", cure)], fleet
    return [Finding("file", "ok", f"{path}: no faults")], fleet
