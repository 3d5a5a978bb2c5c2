"""What is passed on beside OpenAI's three, to whom, and in whose words an error comes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from door import MESSAGES as CHAT_MESSAGES
from door import Door, error_of, record

from argosy.config.schema import Deployment
from argosy.engines import llamacpp
from argosy.protocol.deployment import Shaping
from argosy.protocol.endpoints import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    DETOKENIZE,
    EMBEDDINGS,
    MESSAGES,
    RERANK,
    RESPONSES,
    TOKENIZE,
)
from argosy.protocol.openai import Usage
from argosy.protocol.traits import EngineTraits
from engines import STREAM_HEAD, FakeEngine, answer, chunk, raw, reset_after

BODIES: dict[str, dict[str, Any]] = {
    RESPONSES: {"input": "hi"},
    MESSAGES: {"messages": CHAT_MESSAGES, "max_tokens": 5},
    COUNT_TOKENS: {"messages": CHAT_MESSAGES},
    RERANK: {"query": "hi", "documents": ["a", "b"]},
    TOKENIZE: {"content": "hi"},
    DETOKENIZE: {"tokens": [1, 2]},
}
LLAMACPP = llamacpp.ENGINE.capabilities(Deployment(source="smollm2")).traits
MESSAGE_EVENTS = [
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"1","usage":{"input_tokens":7,'
    b'"cache_read_input_tokens":2,"output_tokens":0}}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"text":"Autumn"}}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{},"usage":{"output_tokens":3}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
]
RESPONSE_EVENTS = [
    b'event: response.created\ndata: {"type":"response.created","response":{"id":"1"}}\n\n',
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Autumn"}\n\n',
    b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"1","usage":{"input_tokens":9,'
    b'"output_tokens":3,"total_tokens":12}}}\n\n',
]


@pytest.mark.parametrize("path", sorted(BODIES))
async def test_a_request_goes_to_the_same_path_of_the_engine_byte_for_byte(
    door: Door, engine: FakeEngine, path: str
) -> None:
    engine.plays.append(answer(b'{"fine" : 1}'))
    told = await door.request("POST", path, {"model": "m", **BODIES[path]})
    assert (told.status, told.body) == (200, b'{"fine" : 1}')
    assert engine.asked[-1].target == path
    assert engine.bodies == [{"model": "m", **BODIES[path]}]


@pytest.mark.parametrize(
    ("path", "events", "usage"), [(MESSAGES, MESSAGE_EVENTS, Usage(9, 3)), (RESPONSES, RESPONSE_EVENTS, Usage(9, 3))]
)
async def test_a_stream_keeps_its_events_and_ends_with_its_own_last_one(
    door: Door, engine: FakeEngine, path: str, events: list[bytes], usage: Usage
) -> None:
    engine.plays.append(raw(STREAM_HEAD, *map(chunk, events), b"0\r\n\r\n"))
    told = await door.request("POST", path, {"model": "m", **BODIES[path], "stream": True})
    assert told.body == b"".join(events)
    assert door.calls[-1].usage == usage


@pytest.mark.parametrize(
    ("path", "body", "usage"),
    [
        (MESSAGES, {"usage": {"input_tokens": 7, "cache_read_input_tokens": 2, "output_tokens": 3}}, Usage(9, 3)),
        (RESPONSES, {"usage": {"input_tokens": 9, "output_tokens": 3}}, Usage(9, 3)),
        (COUNT_TOKENS, {"input_tokens": 9}, None),
    ],
)
async def test_tokens_of_other_surfaces_are_counted(
    door: Door, engine: FakeEngine, path: str, body: Any, usage: Usage | None
) -> None:
    engine.plays.append(answer(body))
    await door.request("POST", path, {"model": "m", **BODIES[path]})
    assert door.calls[-1].usage == usage


async def test_messages_tells_errors_as_anthropic_does(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(answer({"error": {"code": 400, "message": "too long", "type": "x"}}, 400))
    ours = await door.request("POST", MESSAGES, {"model": "m", "messages": []})
    nobody = await door.request("POST", MESSAGES, {"model": "nobody", **BODIES[MESSAGES]})
    theirs = await door.request("POST", MESSAGES, {"model": "m", **BODIES[MESSAGES]})
    kinds = []
    for told in (ours, nobody, theirs):
        body = json.loads(told.body)
        assert (body.keys(), body["type"]) == ({"type", "error"}, "error")
        kinds.append((told.status, body["error"]["type"]))
    assert kinds == [(400, "invalid_request_error"), (404, "not_found_error"), (400, "invalid_request_error")]
    assert "messages" in error_of(ours)["message"]
    assert error_of(theirs)["message"] == "too long"


@pytest.mark.parametrize(
    ("path", "first", "kind"), [(MESSAGES, MESSAGE_EVENTS[0], "api_error"), (RESPONSES, RESPONSE_EVENTS[0], None)]
)
async def test_a_stream_that_breaks_ends_with_an_error_event_of_its_surface(
    door: Door, engine: FakeEngine, path: str, first: bytes, kind: str | None
) -> None:
    cut = asyncio.Event()
    engine.plays.append(reset_after(STREAM_HEAD + chunk(first), when=cut))
    asking = asyncio.create_task(door.request("POST", path, {"model": "m", **BODIES[path], "stream": True}))
    await engine.until_asked()
    cut.set()
    told = await asking
    head, _, last = told.body.removesuffix(b"\n\n").rpartition(b"\n\n")
    assert head + b"\n\n" == first
    name, data = last.split(b"\n")
    assert name == b"event: error"
    error = json.loads(data.removeprefix(b"data: "))
    assert error["type"] == "error"
    assert "m.0" in (error["error"] if kind else error)["message"]
    assert kind is None or error["error"]["type"] == kind


async def test_a_path_that_the_engine_lacks_is_a_404_that_says_who_has_it(door: Door, engine: FakeEngine) -> None:
    await door.again(paths=[CHAT, COMPLETIONS], traits=EngineTraits(engine="echo"))
    nobody = await door.request("POST", RERANK, {"model": "m", **BODIES[RERANK]})
    await door.join(engine, "ranks.0", paths=[RERANK], traits=EngineTraits(engine="command"))
    other = await door.request("POST", RERANK, {"model": "m", **BODIES[RERANK]})
    assert (nobody.status, other.status) == (404, 404)
    assert error_of(nobody)["message"] == (
        "m (echo) serves /v1/chat/completions, /v1/completions, not /v1/rerank: no deployment does; one with engine "
        "command or remote may, by its `paths`."
    )
    assert error_of(other) == {
        "message": "m (echo) serves /v1/chat/completions, /v1/completions, not /v1/rerank: ranks (command) does.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "path_not_served",
    }
    assert (await door.request("POST", RERANK, {"model": "ranks", **BODIES[RERANK]})).status == 200
    assert len(engine.asked) == 1


async def test_a_field_that_the_engine_overlooks_is_refused_by_name(door: Door, engine: FakeEngine) -> None:
    traits = EngineTraits(engine="llama.cpp", ignores=("suffix", "tool_choice", "dimensions"))
    await door.again(traits=traits)
    told = await door.request("POST", COMPLETIONS, {"model": "m", "prompt": "a", "suffix": "z"})
    assert told.status == 400
    assert error_of(told) == {
        "message": "Unsupported parameter: 'suffix' is nothing that llama.cpp, the engine of m, heeds: leave it out, "
        "or ask a model on another engine.",
        "type": "invalid_request_error",
        "param": "suffix",
        "code": "unsupported_parameter",
    }
    vector = await door.request("POST", EMBEDDINGS, {"model": "m", "input": "a", "dimensions": 4})
    assert (vector.status, error_of(vector)["param"]) == (400, "dimensions")
    tool = {"type": "function", "function": {"name": "f"}}
    forced = await door.chat(tools=[tool], tool_choice="required")
    assert (forced.status, error_of(forced)["param"]) == (400, "tool_choice")
    assert not engine.asked
    assert (await door.chat(tools=[tool], tool_choice="auto")).status == 200


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        (RESPONSES, {"tool_choice": "required"}, "tool_choice"),
        (RESPONSES, {"tool_choice": {"type": "function", "name": "f"}}, "tool_choice"),
        (RESPONSES, {"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": []}}, "tool_choice"),
        (RESPONSES, {"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format"),
        (RESPONSES, {"background": True}, "background"),
        (RESPONSES, {"conversation": "conv_1"}, "conversation"),
        (RESPONSES, {"prompt": {"id": "pmpt_1"}}, "prompt"),
        (MESSAGES, {"tool_choice": {"type": "any"}}, None),
        (MESSAGES, {"tool_choice": {"type": "tool", "name": "f"}}, None),
        (MESSAGES, {"output_config": {"format": {"type": "json_schema", "schema": {}}}}, None),
        (MESSAGES, {"mcp_servers": [{"type": "url"}]}, None),
    ],
)
async def test_what_llama_cpp_overlooks_on_other_surfaces_is_refused_in_their_words(
    door: Door, engine: FakeEngine, path: str, fields: dict[str, Any], param: str | None
) -> None:
    await door.again(traits=LLAMACPP)
    told = await door.request("POST", path, {"model": "m", **BODIES[path], **fields})
    assert told.status == 400
    error = error_of(told)
    assert error["type"] == "invalid_request_error"
    assert next(iter(fields)) in error["message"]
    assert "llama.cpp" in error["message"]
    assert error.get("param") == param  # Anthropic's envelope has none
    assert not engine.asked


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (RESPONSES, {"tool_choice": "auto", "text": {"format": {"type": "text"}, "verbosity": "low"}, "store": False}),
        (RESPONSES, {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}, "background": False}),
        (MESSAGES, {"tool_choice": {"type": "auto"}, "output_config": {"effort": "low"}, "mcp_servers": []}),
        (MESSAGES, {"tool_choice": {"type": "none"}, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ],
)
async def test_what_asks_for_nothing_that_llama_cpp_overlooks_is_passed_on(
    door: Door, engine: FakeEngine, path: str, fields: dict[str, Any]
) -> None:
    await door.again(traits=LLAMACPP)
    told = await door.request("POST", path, {"model": "m", **BODIES[path], **fields})
    assert told.status == 200
    assert engine.bodies[-1] == {"model": "m", **BODIES[path], **fields}


async def test_an_input_that_is_too_long_is_a_400_that_names_the_field(door: Door, engine: FakeEngine) -> None:
    await door.again(traits=EngineTraits(engine="llama.cpp", too_long="is too large to process"))
    said = {"error": {"code": 500, "message": "input (3001 tokens) is too large to process.", "type": "server_error"}}
    engine.plays.append(answer(said, 500))
    told = await door.request("POST", EMBEDDINGS, {"model": "m", "input": "a"})
    assert told.status == 400
    assert (error_of(told)["param"], error_of(told)["code"]) == ("input", "context_length_exceeded")
    assert "3001 tokens" in error_of(told)["message"]


async def test_a_bound_holds_on_every_surface(engine: FakeEngine) -> None:
    async with Door() as door:
        await door.join(engine, deployment=record(shaping=Shaping(max_tokens=4, ceiling=4)))
        await door.request("POST", MESSAGES, {"model": "m", **BODIES[MESSAGES]})
        await door.request("POST", RESPONSES, {"model": "m", **BODIES[RESPONSES]})
    assert [engine.bodies[0]["max_tokens"], engine.bodies[1]["max_output_tokens"]] == [4, 4]
