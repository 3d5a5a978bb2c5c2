"""Orders to workers and logs of replicas, through the door: by the answers to heartbeats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from door import ADMIN, JOIN_TOKEN, Door, error_of

from argosy.protocol import heartbeat as beat
from argosy.protocol.admin import FleetTable
from argosy.protocol.deployment import DeploymentRecord, RemoteRecord
from argosy.protocol.replica_log import END_HEADER, PATH, LogPart, LogQuery
from argosy.wire.client import Answer
from engines import FakeEngine


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with FakeEngine() as engine, Door() as opened:
        await opened.join(engine, "a/m.0", worker="first")
        yield opened


async def heard(door: Door, asked: asyncio.Task[Answer]) -> beat.HeartbeatAnswer:
    """The first heartbeat's answer that asks for something."""
    while not (answer := await door.again("a/m.0")).asks:
        assert not asked.done(), asked.result().body
    return answer


async def query_of(door: Door, asked: asyncio.Task[Answer]) -> LogQuery:
    return (await heard(door, asked)).logs[0]


async def send(door: Door, part: LogPart, *, token: str = JOIN_TOKEN) -> Answer:
    body = msgspec.json.encode(part)
    return await door.request("POST", PATH, body, {beat.SIGNATURE_HEADER: beat.sign(body, token)})


async def test_a_log_comes_from_the_worker_to_who_asked(door: Door) -> None:
    asked = asyncio.create_task(door.request("GET", f"{PATH}/a/m.0?lines=2", headers=ADMIN))
    query = await query_of(door, asked)
    assert (query.lines, query.after) == (2, None)
    assert (await send(door, LogPart(query=query.id, replica="a/m.0", data=b"one\n\xff\n", end=42))).status == 200
    told = await asked
    assert (told.status, told.body, told.headers[END_HEADER]) == (200, b"one\n\xff\n", "42")
    assert told.headers["content-type"].startswith("text/plain")

    asked = asyncio.create_task(door.request("GET", f"{PATH}/a/m.0?after=42", headers=ADMIN))
    query = await query_of(door, asked)
    assert query.after == 42
    await send(door, LogPart(query=query.id, replica="a/m.0", data=b"", end=42))
    assert (await asked).body == b""
    assert not (await door.again("a/m.0")).asks


async def test_a_part_that_is_not_signed_by_the_fleet_is_refused(door: Door) -> None:
    asked = asyncio.create_task(door.request("GET", f"{PATH}/a/m.0", headers=ADMIN))
    query = await query_of(door, asked)
    forged = await send(door, LogPart(query=query.id, replica="a/m.0", data=b"forged", end=0), token="another")
    assert (forged.status, error_of(forged)["code"]) == (401, "wrong_join_token")
    assert not asked.done()
    await send(door, LogPart(query=query.id, replica="a/m.0", data=b"true", end=0))
    assert (await asked).body == b"true"


@pytest.mark.parametrize(("query", "command"), [("", "drain"), ("?now=1", "stop")])
async def test_a_worker_is_told_to_end_with_a_signature_for_this_heartbeat(
    door: Door, query: str, command: str
) -> None:
    asked = asyncio.create_task(door.request("POST", f"/argosy/v1/replicas/drain/a/m.0{query}", headers=ADMIN))
    assert (await heard(door, asked)).commands == [command]
    assert (await asked).status == 200
    again = door.voices["a/m.0"].beat()
    body = msgspec.json.encode(again)
    told = await door.request("POST", beat.PATH, body, {beat.SIGNATURE_HEADER: beat.sign(body, JOIN_TOKEN)})
    assert msgspec.json.decode(told.body, type=beat.HeartbeatAnswer).commands == [command], "until it has ended"
    signature = told.headers[beat.SIGNATURE_HEADER]
    assert beat.is_signed(signature, beat.sign_answer(told.body, again.seq, JOIN_TOKEN))
    assert not beat.is_signed(signature, beat.sign_answer(told.body, again.seq + 1, JOIN_TOKEN))
    assert not (await door.again("a/m.0", worker="next")).asks


async def test_an_answer_that_asks_for_nothing_costs_no_signature(door: Door) -> None:
    body = msgspec.json.encode(door.voices["a/m.0"].beat())
    told = await door.request("POST", beat.PATH, body, {beat.SIGNATURE_HEADER: beat.sign(body, JOIN_TOKEN)})
    assert beat.SIGNATURE_HEADER not in told.headers


async def test_who_asks_for_what_is_not_there_is_told_what_is(door: Door) -> None:
    for method, path in (("GET", f"{PATH}/nobody.0"), ("POST", "/argosy/v1/replicas/drain/nobody.0")):
        told = await door.request(method, path, headers=ADMIN)
        assert told.status == 404
        assert "those that have: a/m.0." in error_of(told)["message"]
    told = await door.request("GET", f"{PATH}/a/m.0?lines=many", headers=ADMIN)
    assert (told.status, error_of(told)["message"]) == (400, "?lines= wants a whole number; got 'many'.")


async def test_a_remote_has_no_worker_to_ask(door: Door) -> None:
    remote = RemoteRecord(deployment="r", urls=["http://127.0.0.1:9/v1"])
    await door.push(FleetTable(revision=1, deployments=[DeploymentRecord(name="r", revision=1)], remotes=[remote]))
    told = await door.request("GET", f"{PATH}/r.0", headers=ADMIN)
    assert told.status == 400
    assert "r.0 is a remote" in error_of(told)["message"]
