"""What a deployment asks of its requests, on the way through the door."""

from __future__ import annotations

import json

import msgspec
from door import MESSAGES, Door, error_of, record

from argosy.protocol.admin import FleetTable
from argosy.protocol.deployment import Shaping
from engines import FakeEngine


async def test_the_engine_gets_what_the_deployment_asks_for() -> None:
    shaping = Shaping(defaults={"temperature": 0.2}, max_tokens=5, ceiling=9, system_prompt="Be kind.")
    async with FakeEngine() as engine, Door() as door:
        await door.join(engine, deployment=record(shaping=shaping))
        await door.chat(max_tokens=100, temperature=1)
        await door.chat()
        first, second = engine.bodies
        system = {"role": "system", "content": "Be kind."}
        assert first == {"model": "m", "messages": [system, *MESSAGES], "max_tokens": 9, "temperature": 1}
        assert second == {"model": "m", "messages": [system, *MESSAGES], "max_tokens": 5, "temperature": 0.2}


async def test_a_body_that_got_its_bound_goes_on_with_the_upstreams_name_for_the_model() -> None:
    async with FakeEngine() as engine, Door() as door:
        await door.join(engine, deployment=record(shaping=Shaping(max_tokens=5)), upstream_model="theirs")
        await door.chat()
        assert engine.bodies == [{"model": "theirs", "messages": MESSAGES, "max_tokens": 5}]


async def test_a_change_counts_from_the_next_request_on() -> None:
    async with FakeEngine() as engine, Door() as door:
        await door.join(engine, deployment=record(shaping=Shaping(max_tokens=5)))
        for revision, tokens in ((2, 7), (1, 8)):  # the older one has come late
            newer = msgspec.structs.replace(record(shaping=Shaping(max_tokens=tokens)), revision=revision)
            assert (await door.push(FleetTable(revision=revision, deployments=[newer]))).status == 200
        await door.chat()
        assert engine.bodies[-1]["max_tokens"] == 7


async def test_a_bound_that_is_no_number_is_the_clients_fault() -> None:
    async with FakeEngine() as engine, Door() as door:
        await door.join(engine)
        told = await door.chat(max_tokens="many")
        assert (told.status, error_of(told)["param"]) == (400, "max_tokens")
        assert json.loads(told.body)["error"]["type"] == "invalid_request_error"
        assert engine.asked == []
