"""Engines that do less than the wire asks for, or more: clients at the door see none of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from door import MESSAGES, Door, error_of

from argosy.protocol.openai import Usage
from argosy.protocol.traits import EngineTraits
from engines import (
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    FakeEngine,
    answer,
    chunk,
    delta,
    event,
    events_of,
    raw,
    reset_after,
    silent_after,
    stream,
)
from waiting import eventually

USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
USAGE_EVENT = {"id": "chat-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
DEAF = EngineTraits(tells_usage=True, cancels_plain=False)


def end(reason: str = "stop", **more: Any) -> dict[str, Any]:
    return {**delta("", **more), "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with Door() as opened:
        yield opened


class TestUsageOfAStream:
    @pytest.fixture(autouse=True)
    async def joined(self, door: Door, engine: FakeEngine) -> None:
        await door.join(engine)

    @pytest.mark.parametrize("cut", [None, 1, 7])
    async def test_it_is_asked_for_counted_and_kept_from_a_client_that_did_not_ask(
        self, door: Door, engine: FakeEngine, cut: int | None
    ) -> None:
        engine.plays.append(stream(delta("Au"), delta("tumn"), end(), {**USAGE_EVENT, "usage": USAGE}, DONE, cut=cut))
        assert await door.streamed() == [delta("Au"), delta("tumn"), end(), DONE]
        assert engine.bodies[0]["stream_options"] == {"include_usage": True}
        assert door.calls[0].usage == Usage(7, 2)

    async def test_a_client_that_asks_gets_it(self, door: Door, engine: FakeEngine) -> None:
        engine.plays.append(stream(delta("Au"), end(), {**USAGE_EVENT, "usage": USAGE}, DONE))
        events = await door.streamed(stream_options={"include_usage": True})
        assert events[-2]["usage"] == USAGE

    async def test_an_engine_that_tells_none_is_no_fault(self, door: Door, engine: FakeEngine) -> None:
        engine.plays.append(stream(delta("Au"), end(), DONE))
        assert await door.streamed() == [delta("Au"), end(), DONE]
        assert door.calls[0].usage is None

    async def test_a_stream_that_says_nothing_but_usage_still_ends(self, door: Door, engine: FakeEngine) -> None:
        engine.plays.append(raw(STREAM_HEAD + chunk(event({**USAGE_EVENT, "usage": USAGE})) + LAST_CHUNK))
        answered = await door.chat(stream=True)
        assert answered.status == 502, "an answer of no event is none"

    async def test_tokens_a_second_are_told_while_a_stream_still_runs(self, door: Door, engine: FakeEngine) -> None:
        engine.plays.append(silent_after(STREAM_HEAD + b"".join(chunk(event(delta("x"))) for _ in range(50))))
        reader, _ = await door.ask(stream=True)
        await asyncio.wait_for(reader.readuntil(b"x"), 5)

        async with asyncio.timeout(5):
            while not (await door.replicas())["m.0"].tokens_per_second:
                pass  # every question is a turn of the loop
        assert door.calls == []


class TestAnEngineThatDoesNotHeedLeavingClients:
    @pytest.fixture(autouse=True)
    async def joined(self, door: Door, engine: FakeEngine) -> None:
        await door.join(engine, traits=DEAF)

    @pytest.mark.parametrize("cut", [None, 1])
    async def test_a_plain_request_is_a_stream_to_it_and_plain_to_the_client(
        self, door: Door, engine: FakeEngine, cut: int | None
    ) -> None:
        engine.plays.append(stream(delta("Au"), delta("tumn"), end(), {**USAGE_EVENT, "usage": USAGE}, DONE, cut=cut))
        answered = await door.chat(stream=False)
        assert (answered.status, answered.headers["content-type"]) == (200, "application/json")
        assert json.loads(answered.body) == {
            "id": "chat-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Autumn"}}],
            "usage": USAGE,
        }
        (asked,) = engine.bodies
        assert asked == {
            "model": "m",
            "messages": MESSAGES,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        assert (door.calls[0].stream, door.calls[0].usage) == (False, Usage(7, 2))

    async def test_a_client_that_leaves_frees_it(self, door: Door, engine: FakeEngine) -> None:
        engine.plays.append(silent_after(STREAM_HEAD + chunk(event(delta("Au")))))
        _, writer = await door.ask()
        await engine.until_asked()
        writer.close()
        await engine.until(lambda: engine.open == 0, seconds=1)
        await eventually(lambda: bool(door.calls))
        assert (door.calls[0].status, door.calls[0].error) == (499, "the client left")

    async def test_one_that_dies_in_the_middle_is_left_for_another(self, door: Door, engine: FakeEngine) -> None:
        whole = (delta("Au"), end(), DONE)
        async with FakeEngine(stream(*whole)) as other:
            engine.plays.append(reset_after(STREAM_HEAD + chunk(event(delta("Wi")))))
            await door.join(other, "m.1", traits=DEAF)
            answered = await door.chat()
        assert json.loads(answered.body)["choices"][0]["message"]["content"] == "Au"
        assert door.calls[0].attempts == 2

    async def test_an_answer_that_stops_short_is_no_answer(self, door: Door, engine: FakeEngine) -> None:
        engine.plays.append(stream(delta("Au"), DONE))
        answered = await door.chat()
        assert (answered.status, error_of(answered)["code"]) == (502, "engine_died")

    async def test_an_error_in_the_stream_is_the_answer(self, door: Door, engine: FakeEngine) -> None:
        refused = {"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error"}}
        engine.plays.append(stream(delta("Au"), refused, DONE))
        answered = await door.chat()
        assert (answered.status, json.loads(answered.body)) == (400, refused)

    async def test_a_refusal_goes_through_as_it_is(self, door: Door, engine: FakeEngine) -> None:
        refused = {"error": {"code": 400, "message": "no", "type": "invalid_request_error"}}
        engine.plays.append(answer(refused, 400))
        answered = await door.chat()
        assert (answered.status, json.loads(answered.body)) == (400, refused)

    async def test_a_stream_stays_one(self, door: Door, engine: FakeEngine) -> None:
        engine.plays.append(stream(delta("Au"), end(timings={"prompt_n": 7, "predicted_n": 2}), DONE))
        answered = await door.chat(stream=True)
        assert [each if isinstance(each, str) else each["choices"] for each in events_of(answered.body)][-1] == DONE
        assert "stream_options" not in engine.bodies[0]
        assert door.calls[0].usage == Usage(7, 2)


async def test_an_unknown_engines_stream_gets_the_ends_that_it_forgot(door: Door, engine: FakeEngine) -> None:
    await door.join(engine, traits=EngineTraits(engine="command", loose_ends=True))
    engine.plays.append(stream(delta("Autumn"), delta(" leaves")))
    events = await door.streamed(stream_options={"include_usage": True})
    assert events[:2] == [delta("Autumn"), delta(" leaves")]
    finish, usage, done = events[2:]
    assert finish["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 2)
    assert done == DONE


async def test_choices_that_an_engine_counts_apart_are_counted_together(door: Door, engine: FakeEngine) -> None:
    await door.join(engine, traits=EngineTraits(engine="llama.cpp", tells_usage=True, counts_apart=True))
    apart = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    counted = {**delta(""), "choices": [], "usage": apart}
    second = {**delta("b"), "choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]}
    engine.plays.append(stream(delta("a"), counted, second, counted, DONE))
    events = await door.streamed(n=2, stream_options={"include_usage": True})
    assert [event["usage"] for event in events[:-1] if "usage" in event] == [
        {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
    ]
    assert door.calls[-1].usage == Usage(5, 4)
