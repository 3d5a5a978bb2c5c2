"""An engine's answer with nothing left that tells whose it is: what clients get is made anew from the texts alone.

A list of what may pass, and no list of what may not: engines add fields (`timings`, `matched_stop`, `owned_by`, reasons
of their own) with every release. Also usage stays out: how many tokens a prompt has tells the tokenizer. Pure but for
`hear`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from argosy.wire.sse import SseDecoder

DONE = b"data: [DONE]\n\n"
_REASONS = frozenset({"stop", "length", "content_filter"})
_STATUSES = frozenset({400, 429, 503, 504})
_CODES = frozenset({"context_length_exceeded", "rate_limit_exceeded", "queue_full"})
_WORDS = {
    400: "The model of this side does not take this request.",
    429: "There are too many requests now, or a limit is reached: try again later.",
    502: "The model of this side failed. Ask again, or draw another battle.",
    503: "The model of this side cannot answer now. Ask again later, or draw another battle.",
    504: "The model of this side did not answer in time.",
}


class _Told(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Told | None = None
    message: _Told | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []
    error: Any = None


_ANSWER = msgspec.json.Decoder(_Answer)


class Scrub:
    """Of one answer, by the side that gives it. `hear` gets its text, part by part."""

    def __init__(self, side: str, answer_id: str, created: int, hear: Callable[[str], None]) -> None:
        self._side = side
        self._id = answer_id
        self._created = created
        self._hear = hear
        self._decoder = SseDecoder()
        self._begun = False
        self._ended = False
        self._reason: str | None = None

    def events(self, data: bytes) -> bytes:
        """Of a stream that may be cut anywhere."""
        return b"".join(self._event(event.data) for event in self._decoder.feed(data))

    def plain(self, body: bytes) -> tuple[int, bytes]:
        """An answer in one piece: status, body."""
        answer = _decoded(body)
        choice = _first(answer)
        if answer is None or answer.error is not None or choice is None or choice.message is None:
            return self.refusal(502, body)
        text = choice.message.content or ""
        self._hear(text)
        message = {"role": "assistant", "content": text}
        told = {"index": 0, "message": message, "finish_reason": _reason(choice.finish_reason or "stop")}
        return 200, msgspec.json.encode({**self._head("chat.completion"), "choices": [told]})

    def refusal(self, status: int, body: bytes) -> tuple[int, bytes]:
        """An error, in words that are the same for every model."""
        if status not in _STATUSES:
            status = 400 if 400 <= status < 500 and status != 404 else 502
        return status, msgspec.json.encode({"error": _fault(status, _decoded(body))})

    def _event(self, data: str) -> bytes:
        if self._ended:
            return b""
        if data.strip() == "[DONE]":
            self._ended = True
            return self._finish() + DONE
        answer = _decoded(data.encode())
        if answer is None:
            return b""
        if answer.error is not None:
            self._ended = True
            return b"data: " + msgspec.json.encode({"error": _fault(502, answer)}) + b"\n\n" + DONE
        choice = _first(answer)
        if choice is None:
            return b""
        shown = b""
        if not self._begun:
            self._begun = True
            shown += self._chunk({"role": "assistant", "content": ""})
        if choice.delta is not None and choice.delta.content:
            self._hear(choice.delta.content)
            shown += self._chunk({"content": choice.delta.content})
        # At the end, and there once: some engines tell it with the last text, some by itself, some before the usage.
        self._reason = choice.finish_reason or self._reason
        return shown

    def _finish(self) -> bytes:
        return self._chunk({}, _reason(self._reason or "stop"))

    def _chunk(self, delta: dict[str, str], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return b"data: " + msgspec.json.encode({**self._head("chat.completion.chunk"), "choices": [choice]}) + b"\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._side}


def _decoded(body: bytes) -> _Answer | None:
    try:
        return _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _first(answer: _Answer | None) -> _Choice | None:
    return next((choice for choice in answer.choices if choice.index == 0), None) if answer is not None else None


def _reason(told: str) -> str:
    return told if told in _REASONS else "stop"


def _fault(status: int, answer: _Answer | None) -> dict[str, Any]:
    told = answer.error if answer is not None else None
    known = told.get("code") if isinstance(told, dict) else None
    code = "side_failed"
    if status < 500:
        code = "side_refused"
        if isinstance(known, str) and known in _CODES:
            code = known
    kind = {400: "invalid_request_error", 429: "rate_limit_error"}.get(status, "server_error")
    return {"message": _WORDS[status], "type": kind, "param": None, "code": code}
