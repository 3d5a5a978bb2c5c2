from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from argosy.gateway.call import Call
from argosy.gateway.held_back import without_progress, without_usage
from argosy.gateway.outgoing import outgoing
from argosy.gateway.tool_calls import FirstCalls, ForcedCalls
from argosy.protocol.endpoints import CHAT, EMBEDDINGS
from argosy.protocol.peek import peek
from argosy.protocol.replica import ReplicaState, ReplicaStatus
from argosy.protocol.traits import EngineTraits

MESSAGES = [{"role": "user", "content": "hi"}]
TELLS = EngineTraits(tells_usage=True)
DEAF = EngineTraits(tells_usage=True, cancels_plain=False)


def call(path: str = CHAT, **fields: Any) -> Call:
    given = {"input": "hi"} if path == EMBEDDINGS else {"messages": MESSAGES}
    body = json.dumps({"model": "m", **given, **fields}).encode()
    found = peek(path, body)
    return Call(b"r", path, 0.0, model="m", stream=found.stream is True, body=body, found=found)


def goes_out(given: Call, to: ReplicaStatus) -> tuple[Any, ...]:
    """Body, hold, assemble."""
    return msgspec.structs.astuple(outgoing(given, to))


def status(traits: EngineTraits = EngineTraits(), model: str | None = None) -> ReplicaStatus:  # noqa: B008
    return ReplicaStatus(
        id="m.0", generation=1, epoch=1, state=ReplicaState.READY, since=0.0, traits=traits, upstream_model=model
    )


@pytest.mark.parametrize(
    ("asked", "traits"),
    [
        ({}, EngineTraits()),
        ({"stream": False}, TELLS),
        ({"stream": True}, TELLS),
        ({"stream": True, "stream_options": {"include_usage": False}}, DEAF),
        ({"stream": True, "stream_options": {"include_usage": True}}, EngineTraits()),
    ],
)
def test_nearly_every_body_goes_out_as_it_came(asked: dict[str, Any], traits: EngineTraits) -> None:
    given = call(**asked)
    assert goes_out(given, status(traits)) == (given.body, None, False)


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, {"include_usage": True}),
        ({"stream_options": {"include_usage": False, "other": 1}}, {"include_usage": True, "other": 1}),
    ],
)
def test_usage_that_nobody_else_asked_for_is_asked_for_and_held_back(
    options: dict[str, Any], sent: dict[str, Any]
) -> None:
    body, hold, assemble = goes_out(call(stream=True, **options), status())
    assert (hold, assemble) == (without_usage, False)
    assert json.loads(body) == {"model": "m", "messages": MESSAGES, "stream": True, "stream_options": sent}


@pytest.mark.parametrize("asked", [{}, {"stream": False}, {"stream": None, "stream_options": None}])
def test_an_engine_that_does_not_heed_leaving_clients_is_asked_for_a_stream(asked: dict[str, Any]) -> None:
    body, hold, assemble = goes_out(call(**asked), status(DEAF, model="theirs"))
    assert (hold, assemble) == (None, True)
    options = {"include_usage": True}
    assert json.loads(body) == {"model": "theirs", "messages": MESSAGES, "stream": True, "stream_options": options}


def test_vectors_are_never_streamed() -> None:
    given = call(EMBEDDINGS)
    assert goes_out(given, status(DEAF)) == (given.body, None, False)


@pytest.mark.parametrize("streamed", [False, True])
def test_progress_is_asked_for_and_held_back(streamed: bool) -> None:
    reader = EngineTraits(tells_usage=True, tells_progress=True, cancels_plain=False)
    body, hold, assemble = goes_out(call(stream=streamed), status(reader))
    assert (json.loads(body)["return_progress"], hold, assemble) == (True, without_progress, not streamed)
    own = call(stream=True, return_progress=True)
    assert goes_out(own, status(reader)) == (own.body, None, False), "a client that asks for it gets it"


TOOLS = [{"type": "function", "function": {"name": "now"}}]
BINDS = EngineTraits(tells_usage=True, binds_answers=True)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("choice", ["required", TOOLS[0]])
def test_a_forced_tool_call_is_asked_for_by_schema(choice: Any, streamed: bool) -> None:
    body, hold, assemble = goes_out(call(tools=TOOLS, tool_choice=choice, stream=streamed), status(BINDS))
    asked = json.loads(body)
    assert (asked["response_format"]["type"], asked["tool_choice"], asked["tools"]) == ("json_schema", "auto", TOOLS)
    assert (asked["stream"], assemble) == (True, not streamed), "calls are made of events alone"
    assert isinstance(hold, ForcedCalls)


def test_a_call_in_place_of_several_changes_nothing_of_a_streams_body() -> None:
    given = call(tools=TOOLS, parallel_tool_calls=False, stream=True)
    body, hold, _ = goes_out(given, status(BINDS))
    assert body == given.body
    assert isinstance(hold, FirstCalls)


@pytest.mark.parametrize(
    "asked",
    [
        {"tools": TOOLS},
        {"tools": TOOLS, "tool_choice": "auto", "parallel_tool_calls": True},
        {"tools": TOOLS, "tool_choice": "none"},
        {"parallel_tool_calls": False},
    ],
)
def test_tools_that_the_model_may_call_as_it_likes_are_left_to_the_engine(asked: dict[str, Any]) -> None:
    given = call(stream=True, **asked)
    assert goes_out(given, status(BINDS)) == (given.body, None, False)


def test_an_engine_that_heeds_a_forced_tool_call_is_asked_for_it() -> None:
    given = call(tools=TOOLS, tool_choice="required", stream=True)
    assert goes_out(given, status(TELLS)) == (given.body, None, False)


def test_an_engine_that_checks_names_gets_its_own_but_for_those_of_adapters() -> None:
    given = call()
    knows = status(model="base")
    assert json.loads(outgoing(given, knows).body)["model"] == "base"
    assert outgoing(given, msgspec.structs.replace(knows, adapters=["m"])).body == given.body
