"""Engines that overlook which tools are to be called, but bind answers to a schema: clients at the door see calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from door import Door, error_of

from argosy.protocol.openai import Usage
from argosy.protocol.traits import EngineTraits
from engines import DONE, FakeEngine, answer, delta, events_of, stream

BINDS = EngineTraits(engine="llama.cpp", tells_usage=True, cancels_plain=False, binds_answers=True)
USAGE = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}
USAGE_EVENT = {"id": "chat-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {}}}}}
NOW = {"type": "function", "function": {"name": "now"}}
FORCED: dict[str, Any] = {"tools": [ADD, NOW], "tool_choice": "required"}
CALL = ('{"name"', ': "add", ', '"arguments": {"a"', ": 3}", "}")


@pytest.fixture(autouse=True)
async def binding(door: Door) -> None:
    await door.again(traits=BINDS)


def end(reason: str = "stop") -> dict[str, Any]:
    return {**delta(""), "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def says(*pieces: str, reason: str = "stop") -> tuple[Any, ...]:
    return (*map(delta, pieces), end(reason), {**USAGE_EVENT, "usage": USAGE}, DONE)


async def test_a_plain_answer_holds_the_call_and_no_text(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(stream(*says(*CALL)))
    told = json.loads((await door.chat(**FORCED)).body)
    (choice,) = told["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")
    assert call == {"id": call["id"], "type": "function", "function": {"name": "add", "arguments": '{"a": 3}'}}
    assert (told["usage"], door.calls[0].usage) == (USAGE, Usage(7, 9))
    (asked,) = engine.bodies
    assert (asked["tools"], asked["tool_choice"]) == ([ADD, NOW], "auto")
    schema = asked["response_format"]["json_schema"]["schema"]
    assert [each["properties"]["name"]["const"] for each in schema["anyOf"]] == ["add", "now"]


@pytest.mark.parametrize("cut", [None, 1, 50])
async def test_a_stream_tells_the_name_then_the_arguments_as_they_come(
    door: Door, engine: FakeEngine, cut: int | None
) -> None:
    engine.plays.append(stream(*says(*CALL), cut=cut))
    *chunks, usage, done = await door.streamed(**FORCED, stream_options={"include_usage": True})
    calls = [part for each in chunks for part in each["choices"][0]["delta"].get("tool_calls", ())]
    assert calls[0] == {
        **{"index": 0, "id": calls[0]["id"], "type": "function"},
        "function": {"name": "add", "arguments": ""},
    }
    assert [each["function"]["arguments"] for each in calls[1:]] == ['{"a"', ": 3}"]
    assert [each["choices"][0]["finish_reason"] for each in chunks] == [None, None, None, "tool_calls"]
    assert not any(each["choices"][0]["delta"].get("content") for each in chunks)
    assert (usage["usage"], done, door.calls[0].usage) == (USAGE, DONE, Usage(7, 9))


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_that_is_no_call_is_left_for_another_replicas(
    door: Door, engine: FakeEngine, streamed: bool
) -> None:
    async with FakeEngine() as other:
        other.plays = engine.plays  # whoever is asked first
        engine.plays.extend((stream(*says("I would rather not.")), stream(*says(*CALL))))
        await door.join(other, "m.1", traits=BINDS)
        answered = await door.chat(**FORCED, stream=streamed)
    assert (answered.status, door.calls[0].attempts) == (200, 2)
    assert b"rather" not in answered.body


async def test_a_call_that_breaks_off_in_a_stream_ends_in_an_error_event(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(stream(*says('{"name": "add", "arguments": {"a"')))
    *_, error, done = await door.streamed(**FORCED)
    assert (error["error"]["code"], done) == ("engine_died", DONE)
    assert "not the tool call that it was bound to" in error["error"]["message"]


async def test_of_several_calls_that_it_makes_the_client_gets_the_one_that_it_allows(
    door: Door, engine: FakeEngine
) -> None:
    def call(index: int, name: str) -> dict[str, Any]:
        made = {"index": index, "id": name, "type": "function", "function": {"name": name, "arguments": "{}"}}
        return {**delta(""), "choices": [{"index": 0, "delta": {"tool_calls": [made]}, "finish_reason": None}]}

    several = (call(0, "add"), call(1, "now"), end("tool_calls"), {**USAGE_EVENT, "usage": USAGE}, DONE)
    for allowed, names in (({}, ["add", "now"]), ({"parallel_tool_calls": False}, ["add"])):
        engine.plays.extend((stream(*several), stream(*several)))
        plain = json.loads((await door.chat(tools=[ADD, NOW], **allowed)).body)["choices"][0]["message"]
        assert [each["id"] for each in plain["tool_calls"]] == names
        streamed = events_of((await door.chat(tools=[ADD, NOW], stream=True, **allowed)).body)
        parts = [each for each in streamed if each != DONE and each["choices"]]
        assert [call["id"] for each in parts for call in each["choices"][0]["delta"].get("tool_calls", ())] == names


async def test_an_engines_own_failure_is_no_fault_of_a_schema(door: Door, engine: FakeEngine) -> None:
    failed = {"error": {"code": 500, "message": "Unexpected empty grammar stack", "type": "server_error"}}
    engine.plays.append(answer(failed, 500))
    told = await door.chat(**FORCED)
    assert (told.status, json.loads(told.body)) == (500, failed)


async def test_a_schema_that_the_engine_refuses_is_the_clients_affair_and_names_the_tool(
    door: Door, engine: FakeEngine
) -> None:
    message = "JSON schema error at #/$defs/0/properties/a: unrecognized type foo"
    engine.plays.append(answer({"error": {"code": 400, "message": message, "type": "invalid_request_error"}}, 400))
    told = await door.chat(**FORCED)
    assert told.status == 400
    assert error_of(told) == {
        "message": "Invalid schema for function 'add': at properties/a: unrecognized type foo.",
        "type": "invalid_request_error",
        "param": "tools[0].function.parameters",
        "code": "invalid_function_parameters",
    }
