"""What an engine is sent for a client's request: its body, but for what this engine's ways make necessary. Pure.

Nearly every body goes out as it came in. Fields that it does not name are put in front, so no body is decoded again for
them. What a deployment wants changed for all its engines is shaping.py's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from argosy.gateway.call import Call
from argosy.gateway.held_back import without_progress, without_usage
from argosy.gateway.repair import ChoiceRepair, EndRepair
from argosy.gateway.tool_calls import FirstCalls, ForcedCalls
from argosy.gateway.tool_schema import binding
from argosy.protocol.openai import opening, with_fields, with_opening
from argosy.protocol.peek import ChatPeek, CompletionPeek, Generation, Tool
from argosy.protocol.replica import ReplicaStatus
from argosy.protocol.traits import EngineTraits

Hold = Callable[[bytes], bytes]
_PROGRESS = "return_progress"  # llama.cpp's field
_ADDED: Mapping[str, Any] = {"stream": True, "stream_options": {"include_usage": True}, _PROGRESS: True}


class Outgoing(msgspec.Struct, frozen=True):
    body: bytes
    hold: Hold | None = None  # takes out of whole events what only we asked for, adds what they lack
    assemble: bool = False  # a stream comes back for what the client wants in one piece


def outgoing(call: Call, status: ReplicaStatus) -> Outgoing:
    """`call.found` is what `peek` saw in its body. Raises BadRequestError for a body that no engine could read."""
    model, traits, found = status.upstream_model, status.traits, call.found
    if model is not None and call.model in status.adapters:
        model = None
    bounded = (
        found if traits.binds_answers and isinstance(found, ChatPeek) and found.tools and found.bounds_calls else None
    )
    if not call.stream and traits.cancels_plain and bounded is None and (model is None or model == call.model):
        return Outgoing(call.body)  # the most, quickly
    missing: dict[str, Any] = {}  # not in the body: can go in front
    changed: dict[str, Any] = {}  # in it
    hold: Hold | None = None
    assemble = False
    if isinstance(found, Generation):
        given = found.stream_options
        if call.stream:
            if not traits.tells_usage and not found.wants_usage:
                hold = without_usage
                options = {**(given or {}), **_ADDED["stream_options"]}
                (missing if given is UNSET else changed)["stream_options"] = options
        elif bounded is not None or not traits.cancels_plain:
            assemble = True
            (missing if found.stream is UNSET else changed)["stream"] = True
            (missing if given is UNSET else changed)["stream_options"] = _ADDED["stream_options"]
        if traits.tells_progress and (call.stream or assemble) and b'"%b"' % _PROGRESS.encode() not in call.body:
            hold = without_progress
            missing[_PROGRESS] = True
        if bounded is not None:
            changed |= binding(bounded, call.body) if bounded.forced_tools else {}
            hold = _calls(bounded, hold)
        if call.stream or assemble:
            hold = _repair(found, traits, hold, assemble=assemble) or hold
    if model is not None and model != call.model:
        changed["model"] = model
    body = call.body
    if changed:
        body = with_fields(body, missing | changed)
    elif missing:
        body = with_opening(body, _opening(tuple(missing)))
    return Outgoing(body, hold, assemble)


@functools.cache
def _opening(names: tuple[str, ...]) -> bytes:
    """Of a body to which these are added; few different ones, in every stream."""
    return opening({name: _ADDED[name] for name in names})


def _calls(found: ChatPeek, hold: Hold | None) -> Hold:
    """What leaves of an answer's tool calls those that the client asked for."""
    if found.forced_tools:
        return ForcedCalls(named=isinstance(found.tool_choice, Tool), before=hold)
    return FirstCalls(before=hold)


def _repair(found: Generation, traits: EngineTraits, hold: Hold | None, *, assemble: bool) -> Hold | None:
    """What this engine's stream of this answer needs, if anything."""
    if not (traits.counts_apart or traits.loose_ends):
        return None
    completion = found if isinstance(found, CompletionPeek) else None
    apart = (found.n or 1) > 1 or (completion is not None and isinstance(completion.prompt, list))
    if traits.counts_apart and completion is not None:
        apart = apart or found.wants_usage or completion.logprobs is not None
    if apart:
        return ChoiceRepair(
            chat=completion is None,
            choices_each=found.n or 1,
            apart=traits.counts_apart,
            wants_usage=found.wants_usage or assemble,
            before=hold,
        )
    if traits.loose_ends:
        return EndRepair(chat=completion is None, wants_usage=found.wants_usage, before=hold)
    return None
