"""Tool calls in the stream of an answer, where the engine does not tell them as the client asked. Answer side, pure but
for the ids that are drawn.

`ForcedCalls` makes tool calls of answers that were bound to the tools' schemas (tool_schema.py): of
`{"name": "add", "arguments": {"a": 1}}`, told as text in any pieces, the client gets only a call's name and arguments.
`FirstCalls` keeps back all calls after a choice's first. Both take whole events, as Hold does.
Format: https://platform.openai.com/docs/api-reference/chat/streaming.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Callable
from typing import Any

import msgspec

from argosy.errors import BrokenAnswerError
from argosy.wire.sse import split_events

_Object = dict[str, Any]
_Before = Callable[[bytes], bytes]
_EVENT = msgspec.json.Decoder(_Object | None)
_DONE = b"[DONE]"
_CALLS = b'"tool_calls":'  # a finish reason of that name has no colon after it
_MISFITS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError, AttributeError)

_NAME = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")')
_ARGUMENTS = re.compile(r'\s*,\s*"arguments"\s*:\s*(?=\{)')
# Mistral's chat templates refuse any other id in the next request.
_ID_LETTERS, _ID_LENGTH = string.ascii_letters + string.digits, 9


class CallReader:
    """Reads one call out of the pieces of its text."""

    __slots__ = ("_before", "_depth", "_escaped", "_name", "_quoted", "_within", "whole")

    def __init__(self) -> None:
        self._before = ""  # what came before the arguments and is not understood yet
        self._name = ""
        self._within = self._quoted = self._escaped = False  # the arguments, a text of theirs, after a backslash
        self._depth = 0
        self.whole = False

    def feed(self, piece: str) -> tuple[str, str]:
        """The name, once it is known with this piece, else ""; and this piece's part of the arguments."""
        if self._within or self.whole:
            return "", self._of_arguments(piece)
        self._before += piece
        name = ""
        if not self._name:
            if (found := _NAME.match(self._before)) is None:
                return "", ""
            name = self._name = msgspec.json.decode(found[1], type=str)
            self._before = self._before[found.end() :]
        if (begin := _ARGUMENTS.match(self._before)) is None:
            return name, ""
        self._within, arguments = True, self._before[begin.end() :]
        return name, self._of_arguments(arguments)

    def _of_arguments(self, piece: str) -> str:
        if self.whole:
            return ""  # what closes the call
        for at, letter in enumerate(piece):
            if self._escaped:
                self._escaped = False
            elif letter == "\\":
                self._escaped = True  # outside of a text there is none
            elif letter == '"':
                self._quoted = not self._quoted
            elif letter == "{" and not self._quoted:
                self._depth += 1
            elif letter == "}" and not self._quoted:
                self._depth -= 1
                if not self._depth:
                    self.whole, self._within = True, False
                    return piece[: at + 1]
        return piece


class ForcedCalls:
    """`named`: the client named the function; `before` takes out what the gateway asked for itself."""

    def __init__(self, *, named: bool, before: _Before | None) -> None:
        # As OpenAI has it, and vLLM after it: https://github.com/vllm-project/vllm/pull/25054
        self._ending = "stop" if named else "tool_calls"
        self._before = before
        self._readers: dict[int, CallReader] = {}

    def __call__(self, events: bytes) -> bytes:
        """Raises BrokenAnswerError for what is no event of an answer, and for an answer that is no call."""
        if self._before is not None:
            events = self._before(events)
        return b"".join(map(self._told, split_events(events)))

    def _told(self, event: bytes) -> bytes:
        told = _decoded(event)
        if not told or not told.get("choices"):
            return event
        try:
            begun = [call for choice in told["choices"] if (call := self._take(choice))]
            told["choices"] = [each for each in told["choices"] if each["delta"] or each.get("finish_reason")]
        except _MISFITS as error:
            raise _broken(error) from None
        first = _event({**told, "choices": begun}) if begun else b""
        return first + _event(told) if told["choices"] else first

    def _take(self, choice: _Object) -> _Object | None:
        """Leaves in a choice what the client is to get of it; returns the one in which its call begins."""
        index, delta = choice["index"], choice["delta"]
        reader = self._readers.get(index)
        if reader is None:
            reader = self._readers[index] = CallReader()
        if "logprobs" in choice:
            choice["logprobs"] = None  # of a text that the client does not get
        said, begun = delta.get("content"), None
        if said is not None:
            del delta["content"]
            name, arguments = reader.feed(said)
            if name:
                begun = {"index": index, "delta": {"tool_calls": [_beginning(name)]}, "finish_reason": None}
            if arguments:
                delta["tool_calls"] = [{"index": 0, "function": {"arguments": arguments}}]
        if choice.get("finish_reason") == "stop":
            if not reader.whole:
                raise BrokenAnswerError("the engine's answer is not the tool call that it was bound to")
            choice["finish_reason"] = self._ending
        return begun


class FirstCalls:
    """`before` takes out what the gateway asked for itself."""

    def __init__(self, *, before: _Before | None) -> None:
        self._before = before

    def __call__(self, events: bytes) -> bytes:
        """Raises BrokenAnswerError for what is no event of an answer."""
        if self._before is not None:
            events = self._before(events)
        if _CALLS not in events:
            return events
        return b"".join(_with_first_calls(event) if _CALLS in event else event for event in split_events(events))


def _with_first_calls(event: bytes) -> bytes:
    told = _decoded(event)
    if not told:
        return event
    try:
        for choice in told["choices"]:
            delta = choice["delta"]
            if first := [call for call in delta.pop("tool_calls", None) or () if not call["index"]]:
                delta["tool_calls"] = first
        told["choices"] = [each for each in told["choices"] if each["delta"] or each.get("finish_reason")]
    except _MISFITS as error:
        raise _broken(error) from None
    return _event(told) if told["choices"] else b""


def _decoded(event: bytes) -> _Object | None:
    """None for what is no event of an answer's choices: comments, the end. Raises BrokenAnswerError."""
    line = event.strip()
    if not line.startswith(b"data:") or line.endswith(_DONE):
        return None
    try:
        told: _Object | None = _EVENT.decode(line[5:])
    except _MISFITS as error:
        raise _broken(error) from None
    return told


def _beginning(name: str) -> _Object:
    drawn = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    return {"index": 0, "id": drawn, "type": "function", "function": {"name": name, "arguments": ""}}


def _event(told: _Object) -> bytes:
    return b"data: " + msgspec.json.encode(told) + b"\n\n"


def _broken(error: Exception) -> BrokenAnswerError:
    return BrokenAnswerError(f"the engine sent an event that is none of an answer ({error})")
