"""The relay that a worker opens for a gateway on another machine, before a real echo engine."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from contract import KEY, Running, blueprint_of, start

from argosy.wire.client import Client
from argosy.worker.listener import Listeners, Target

PATHS = frozenset({"/v1/chat/completions", "/v1/models", "/health"})


@dataclass
class Door:
    engine: Running
    url: str
    target: Target | None

    async def status(self, path: str, key: str = KEY) -> int:
        headers = {"authorization": f"Bearer {key}"}
        return (await self.engine.client.request("GET", self.url + path, headers=headers, seconds=5)).status


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    await made.close()


@pytest.fixture
async def door(tmp_path: Path, client: Client) -> AsyncIterator[Door]:
    engine = await start(blueprint_of({"engine": "echo", "options": {"tokens_per_second": 10}}, tmp_path, client))
    listeners = Listeners(client, lambda: made.target, replica="m.0", join_token="token")
    made = Door(engine, listeners.address_on("127.0.0.1"), Target(engine.incarnation.address, KEY, PATHS))
    yield made
    await listeners.close()
    await engine.incarnation.stop(0)


async def test_only_listed_paths_pass_and_only_with_the_key(door: Door) -> None:
    assert await door.status("/v1/models") == 200
    assert await door.status("/v1/models", key="another") == 401
    assert await door.status("/stats") == 404
    assert (await door.engine.get("/stats")).status == 200  # the engine has it


async def test_a_stream_passes_unbuffered_and_the_leaving_of_a_client_too(door: Door) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "a b c d e f g h"}], "stream": True}).encode()
    url, chunks, client = f"{door.url}/v1/chat/completions", 0, door.engine.client
    async with client.stream("POST", url, headers=door.engine.headers, body=body, seconds=5) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for _ in answer.chunks():
            chunks += 1
            if chunks == 3:
                break
    async with asyncio.timeout(1):
        while json.loads((await door.engine.get("/stats")).body)["cancelled"] == 0:
            pass


async def test_an_engine_that_is_gone_is_a_502_and_none_at_all_a_503(door: Door) -> None:
    assert door.target is not None
    door.target = replace(door.target, address="http://127.0.0.1:9")
    assert await door.status("/health") == 502
    door.target = None
    assert await door.status("/health") == 503


async def test_a_gateway_on_this_machine_reaches_the_engine_directly(client: Client) -> None:
    listeners, engine = Listeners(client, lambda: None, replica="m.0", join_token="token"), "http://127.0.0.1:4711"
    found = [address for addresses in psutil.net_if_addrs().values() for address in addresses]
    for host in ["localhost", *(address.address for address in found if address.family == socket.AF_INET)]:
        assert await listeners.address_for(f"http://{host}:8000", engine) == engine
    await listeners.close()
