"""What sets the surfaces of one door apart: how each tells an error, in an answer and in a stream, and ends a stream.

OpenAI's is everybody's but for two: Anthropic's Messages has an envelope of its own, and neither that nor OpenAI's
Responses ends its streams with [DONE].
"""

from __future__ import annotations

from typing import Any

import msgspec

from argosy.errors import RequestError
from argosy.protocol import openai
from argosy.protocol.endpoints import COUNT_TOKENS, MESSAGES, RESPONSES
from argosy.protocol.openai import Count, Usage


class Surface:
    """OpenAI's chats, completions and embeddings, and all that has no wire of its own for errors."""

    end = "[DONE]"  # of a stream, for people
    closing = b"data: [DONE]\n\n"  # what readers wait for where an engine forgot it

    def has_ended(self, ending: bytes) -> bool:
        """Whether a stream's last bytes are the end of a whole one."""
        return ending.rstrip().endswith(b"data: [DONE]")

    def usage_of(self, answer: bytes) -> Usage | None:
        return openai.usage_of(answer)

    def usage_of_stream(self, first: bytes, ending: bytes) -> Usage | None:
        """By a stream's first events and its last bytes."""
        return openai.usage_of_stream(ending)

    def error_body(self, error: RequestError) -> bytes:
        return openai.error_body(error)

    def error_event(self, error: RequestError) -> bytes:
        """The error as the last event of a stream that broke, and the end that readers wait for."""
        return openai.error_event(error)

    def in_own_words(self, body: bytes, status: int) -> bytes:
        """An engine's error, which comes in OpenAI's envelope, as this surface tells it."""
        return body


class _Counted(msgspec.Struct):
    """Of Responses and Messages. In a stream it lies in the event's `response` or `message`, or in the event."""

    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_input_tokens: Count = 0  # Anthropic's does not count them in input_tokens


class _Answer(msgspec.Struct):
    usage: _Counted | None = None
    response: _Answer | None = None
    message: _Answer | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


class _EndingWithAnEvent(Surface):
    """One whose streams end with an event of a certain type."""

    closing = b""

    def __init__(self, end: str, *other_ends: str) -> None:
        self.end = end
        self._marks = [f'"{each}"'.encode() for each in (end, *other_ends)]

    def has_ended(self, ending: bytes) -> bool:
        return any(mark in ending for mark in self._marks)

    def usage_of(self, answer: bytes) -> Usage | None:
        try:
            told = _ANSWER.decode(answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        counted = (told.response or told.message or told).usage
        if counted is None:
            return None
        return Usage(counted.input_tokens + counted.cache_read_input_tokens, counted.output_tokens)

    def usage_of_stream(self, first: bytes, ending: bytes) -> Usage | None:
        lines = [*first.splitlines(), *ending.splitlines()]
        told = [self.usage_of(line[5:]) for line in lines if line.startswith(b"data:") and b"_tokens" in line]
        found = [each for each in told if each is not None]
        return Usage(max(each.prompt_tokens for each in found), found[-1].completion_tokens) if found else None


class _Responses(_EndingWithAnEvent):
    def error_event(self, error: RequestError) -> bytes:
        """https://platform.openai.com/docs/api-reference/responses-streaming/error"""
        told = {"type": "error", "code": error.code, "message": str(error), "param": error.param}
        return b"event: error\ndata: " + msgspec.json.encode({**told, "sequence_number": 0}) + b"\n\n"


class _Messages(_EndingWithAnEvent):
    def error_body(self, error: RequestError) -> bytes:
        """https://docs.claude.com/en/api/errors"""
        return _anthropic(error.status, str(error))

    def error_event(self, error: RequestError) -> bytes:
        return b"event: error\ndata: " + self.error_body(error) + b"\n\n"

    def in_own_words(self, body: bytes, status: int) -> bytes:
        try:
            told: Any = msgspec.json.decode(body)
            if told.get("type") == "error":
                return body
            return _anthropic(status, str(told["error"]["message"]))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError, AttributeError):
            return body  # in no envelope that is known: as it came


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def _anthropic(status: int, message: str) -> bytes:
    kind = _ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": message}})


OPENAI = Surface()
_MESSAGES = _Messages("message_stop")
_OTHERS: dict[str, Surface] = {
    RESPONSES: _Responses("response.completed", "response.incomplete", "response.failed"),
    MESSAGES: _MESSAGES,
    COUNT_TOKENS: _MESSAGES,
}


def surface_of(path: str) -> Surface:
    return _OTHERS.get(path, OPENAI)
