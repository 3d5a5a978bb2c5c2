"""A real llama.cpp behind a real door, and the engine itself beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from contract import NAME, blueprint_of
from door import JOIN_TOKEN, Door, record

from argosy.protocol.heartbeat import engine_key
from argosy.wire.client import Client
from argosy.worker.incarnation import Incarnation

REPLICA, EPOCH = f"{NAME}.0", 1


class Behind:
    """A door with one replica of a model, and the engine itself."""

    def __init__(self, door: Door, incarnation: Incarnation, key: str) -> None:
        self.door = door
        self.address = incarnation.address
        self._headers = {"authorization": f"Bearer {key}"}

    async def direct(self, path: str, body: Any) -> Any:
        data = json.dumps({"model": NAME, **body}).encode()
        url = self.address + path
        answer = await self.door.client.request("POST", url, headers=self._headers, body=data, seconds=60)
        return json.loads(answer.body)

    async def slots(self) -> list[Any]:
        answer = await self.door.client.request("GET", f"{self.address}/slots", headers=self._headers, seconds=10)
        found: list[Any] = json.loads(answer.body)
        return found

    async def until_slots(self, busy: int) -> None:
        async with asyncio.timeout(20):
            while sum(slot["is_processing"] for slot in await self.slots()) != busy:
                pass  # every question is a turn of the loop


@asynccontextmanager
async def behind_the_door(model: Path, folder: Path) -> AsyncIterator[Behind]:
    client = Client()
    options = {"context": 2048, "slots": 2, "threads": 1, "prompt_cache_mib": 0}
    blueprint = blueprint_of({"source": str(model), "options": options}, folder, client)
    key = engine_key(JOIN_TOKEN, REPLICA, EPOCH)
    incarnation = await Incarnation.start(blueprint, model, key, lambda _: None)
    capabilities = blueprint.engine.capabilities(blueprint.deployment)
    try:
        async with Door() as door:
            await door.join(incarnation, REPLICA, deployment=record(NAME), epoch=EPOCH, traits=capabilities.traits)
            beating = asyncio.create_task(_beat(door))
            try:
                yield Behind(door, incarnation, key)
            finally:
                beating.cancel()
    finally:
        await incarnation.stop(0.5)
        await client.close()


async def _beat(door: Door) -> None:
    """A replica that is silent for a minute is forgotten, and a model may take longer for all of a test."""
    while True:
        await asyncio.sleep(1)
        await door.again(REPLICA)
