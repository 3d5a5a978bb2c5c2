"""A worker that was started by hand asks a gateway to take it: the real listener of a worker, at a real door."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from door import JOIN_TOKEN, Door, error_of

from argosy.protocol.heartbeat import LONGEST_SKEW_SECONDS, SIGNATURE_HEADER, sign
from argosy.protocol.join import CALLBACK_PATH, NONCE_HEADER, PATH, Join, caller_proof
from argosy.protocol.replica import JoinSettings, ModelIdentity
from argosy.wire.client import Answer, Client
from argosy.worker.listener import Listeners
from engines import FakeEngine, answer
from waiting import eventually

MODEL = ModelIdentity(source="engine echo")


@asynccontextmanager
async def listening(
    replica: str = "m.aaaaaa", join_token: str = JOIN_TOKEN, settings: JoinSettings | None = None
) -> AsyncIterator[Listeners]:
    client = Client()
    listeners = Listeners(client, lambda: None, replica=replica, join_token=join_token, settings=settings)
    try:
        yield listeners
    finally:
        await listeners.close()
        await client.close()


async def asks(door: Door, address: str, *, token: str = JOIN_TOKEN, **fields: Any) -> Answer:
    asked = Join(
        **{
            "seq": time.time_ns(),
            "replica": "m.aaaaaa",
            "deployment": "m",
            "model": MODEL,
            "address": address,
            **fields,
        }
    )
    body = msgspec.json.encode(asked)
    return await door.request("POST", PATH, body, {SIGNATURE_HEADER: sign(body, token)})


def refusal(told: Answer) -> tuple[int, str, str]:
    error = error_of(told)
    return told.status, error["code"], error["message"]


async def test_a_worker_that_the_gateway_reaches_is_taken_and_nothing_is_remembered_of_it() -> None:
    async with Door() as door, listening() as listeners:
        told = await asks(door, await listeners.door_for(door.url))
        assert (told.status, told.body) == (200, b"{}")
        assert not await door.replicas()


async def test_one_that_is_not_reached_is_refused_in_a_sentence_with_the_address_that_was_tried() -> None:
    async with Door() as door:
        status, code, message = refusal(await asks(door, "http://127.0.0.1:1"))
        assert (status, code) == (409, "worker_not_reached")
        assert "the gateway does not reach it at http://127.0.0.1:1 (no connection to" in message
        assert "--advertise" in message


async def test_an_address_that_leads_to_another_worker_is_refused_with_its_name() -> None:
    async with Door() as door, listening("other.bbbbbb") as listeners:
        status, code, message = refusal(await asks(door, await listeners.door_for(door.url)))
        assert (status, code) == (409, "address_taken")
        assert "reaches the worker of other.bbbbbb" in message


async def test_who_does_not_know_the_token_cannot_answer_a_call_back() -> None:
    async with Door() as door, listening(join_token="another") as stranger, FakeEngine(answer({})) as server:
        for address in (await stranger.door_for(door.url), server.address):
            assert refusal(await asks(door, address))[:2] == (409, "worker_not_reached")


async def test_a_worker_tells_nobody_but_a_gateway_who_it_is() -> None:
    async with Door() as door, listening() as listeners:
        url = f"{await listeners.door_for(door.url)}{CALLBACK_PATH}"
        for proof in ("", caller_proof("n", "another"), caller_proof("another", JOIN_TOKEN)):
            headers = {NONCE_HEADER: "n", SIGNATURE_HEADER: proof}
            assert (await door.client.request("GET", url, headers=headers, seconds=5)).status == 401


async def test_a_wrong_token_an_old_request_and_a_strange_address_are_refused() -> None:
    async with Door() as door:
        assert refusal(await asks(door, "http://127.0.0.1:1", token="another"))[:2] == (401, "wrong_join_token")
        long_ago = time.time_ns() - int((LONGEST_SKEW_SECONDS + 60) * 1e9)
        told = await asks(door, "http://127.0.0.1:1", seq=long_ago)
        assert told.status == 401
        assert "clock" in error_of(told)["message"]
        for address in ("http://127.0.0.1:1/path", "https://127.0.0.1:1", "file:///etc/passwd"):
            assert (await asks(door, address)).status in (400, 409), address


async def test_another_model_behind_a_name_that_is_served_is_refused_and_both_are_named() -> None:
    async with FakeEngine() as engine, Door() as door, listening("m.bbbbbb") as listeners:
        await door.join(engine, model=ModelIdentity(source="smollm2", weights="1" * 64), node="box")
        address = await listeners.door_for(door.url)
        model = ModelIdentity(source="qwen3:4b", weights="2" * 64)
        status, code, message = refusal(await asks(door, address, replica="m.bbbbbb", model=model))
        assert (status, code) == (409, "name_taken")
        assert "'m' is smollm2 (weights 111111111111) here (served by m.0 on box)" in message
        assert "this worker's is qwen3:4b (weights 222222222222)" in message
        same = ModelIdentity(source="/models/x.gguf", weights="1" * 64)
        assert (await asks(door, address, replica="m.bbbbbb", model=same)).status == 200


async def test_its_engine_is_called_back_before_a_request_is_sent_there() -> None:
    async with FakeEngine(answer({}, 200)) as engine, Door() as door:
        told = await door.join(engine, "m.aaaaaa", by_hand=True)
        assert told.refused == ""
        assert (await door.chat()).status == 200
        assert [asked.target for asked in engine.asked] == ["/health", "/v1/chat/completions"]


async def test_one_that_is_not_reached_when_it_is_ready_hears_why_by_its_heartbeats() -> None:
    async with FakeEngine() as engine, Door() as door:
        await door.join(engine, "m.aaaaaa", by_hand=True, address="http://127.0.0.1:1")
        await eventually(lambda: door.registry.replicas["m.aaaaaa"].refused)
        heard = (await door.again("m.aaaaaa")).refused
        assert heard.startswith("the gateway does not reach it at http://127.0.0.1:1, so nothing is sent there: ")
        assert (await door.replicas())["m.aaaaaa"].reason == heard
        await door.again("m.aaaaaa", address=engine.address)
        assert (await door.chat()).status == 200


@pytest.mark.parametrize(
    ("advertise", "told"),
    [("http://worker.example:7000", "http://worker.example:7000"), ("http://[fd00::5]:7000", "http://[fd00::5]:7000")],
)
async def test_an_address_that_the_user_gives_is_told_instead_of_the_derived_one(advertise: str, told: str) -> None:
    async with listening(settings=JoinSettings(advertise=advertise)) as listeners:
        assert await listeners.door_for("http://127.0.0.1:1") == told
        assert await listeners.address_for("http://127.0.0.1:1", "http://127.0.0.1:4711") == told


async def test_the_real_port_stands_in_an_address_that_has_none() -> None:
    async with listening(settings=JoinSettings(advertise="http://127.0.0.2")) as listeners:
        told = await listeners.door_for("http://127.0.0.1:1")
        assert told.startswith("http://127.0.0.2:")
        client = Client()
        assert (await client.request("GET", f"{told}{CALLBACK_PATH}", seconds=5)).status == 401, "it listens there"
        await client.close()
