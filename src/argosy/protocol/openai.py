"""The OpenAI wire as far as the gateway must understand it, beside a look into requests (peek.py): fields set in a body
whose other bytes stay, whole events, usage. Formats: https://platform.openai.com/docs/api-reference.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from argosy.errors import BadRequestError, RequestError

BOUNDS = ("max_tokens", "max_completion_tokens", "n_predict")  # fields that bound an answer; n_predict is llama.cpp's
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def with_fields(body: bytes, fields: dict[str, Any]) -> bytes:
    """The same JSON object with these top-level fields set; every other value's bytes stay as they were.

    Raises BadRequestError for what `peek` did not look at and nobody can read (a field's name that is no UTF-8).
    """
    values = fields_of(body)
    for name, value in fields.items():
        values[name] = msgspec.Raw(msgspec.json.encode(value))
    return msgspec.json.encode(values)


def with_fields_before(body: bytes, fields: dict[str, Any]) -> bytes:
    """The same object with these fields in front of its own: no second decoding, for fields that it does not name.

    Where it names one after all, its own value comes last and wins, as in every common JSON reader. For a body that
    `peek` took: it is an object, and not an empty one.
    """
    return with_opening(body, opening(fields))


def opening(fields: dict[str, Any]) -> bytes:
    """How an object begins that has these fields in front."""
    return msgspec.json.encode(fields)[:-1] + b","


def with_opening(body: bytes, begun: bytes) -> bytes:
    """`with_fields_before`, of fields that were encoded before."""
    return begun + body[body.index(b"{") + 1 :]


def fields_of(body: bytes) -> dict[str, msgspec.Raw]:
    """The object's top-level fields, undecoded. Raises BadRequestError as `with_fields` does."""
    try:
        return _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"The request's body is not valid JSON: {error}") from None


def error_body(error: RequestError) -> bytes:
    """OpenAI's error envelope (https://platform.openai.com/docs/guides/error-codes); `place_in_line` is ours."""
    told: dict[str, Any] = {"message": str(error), "type": error.type, "param": error.param, "code": error.code}
    if error.place is not None:
        told["place_in_line"] = error.place
    return msgspec.json.encode({"error": told})


def error_event(error: RequestError) -> bytes:
    """The envelope as the last event of a stream that broke, and the end that readers wait for."""
    return b"data: " + error_body(error) + b"\n\ndata: [DONE]\n\n"


def is_json(data: bytes) -> bool:
    """Whether it is one whole JSON value."""
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


class _Fault(msgspec.Struct, frozen=True):
    message: str


class _Refusal(msgspec.Struct, frozen=True):
    error: _Fault


_REFUSAL = msgspec.json.Decoder(_Refusal)


def is_refusal(data: bytes) -> bool:
    """Whether it is an error in OpenAI's envelope, with words in it."""
    try:
        _REFUSAL.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def is_whole_event(data: bytes) -> bool:
    """Whether bytes at a stream's end are a whole event of the OpenAI wire that only lacks its blank line."""
    line = data.strip().rpartition(b"\n")[2]
    return line.startswith(b"data:") and (line[5:].strip() == b"[DONE]" or is_json(line[5:]))


# What an engine counts comes into sums and rates: one that told 10**400 tokens would end the gateway with an
# OverflowError. No answer has as many as this.
Count = Annotated[int, Meta(ge=0, le=10**12)]


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one request."""

    prompt_tokens: Count = 0
    completion_tokens: Count = 0


class _Timings(msgspec.Struct, frozen=True):
    prompt_n: Count = 0
    cache_n: Count = 0
    predicted_n: Count = 0


class _Counted(msgspec.Struct, frozen=True):
    usage: Usage | None = None
    timings: _Timings | None = None


_COUNTED = msgspec.json.Decoder(_Counted)


def usage_of(answer: bytes) -> Usage | None:
    """Tokens that a plain answer tells; None for an answer without, or that is no JSON."""
    try:
        counted = _COUNTED.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if counted.usage is not None or counted.timings is None:
        return counted.usage
    timings = counted.timings
    return Usage(timings.prompt_n + timings.cache_n, timings.predicted_n)


def with_counts(usage: dict[str, Any]) -> dict[str, Any]:
    """The same usage. Raises ValidationError where its tokens are no counts."""
    msgspec.convert(usage, Usage)
    return usage


def usage_of_stream(events: bytes) -> Usage | None:
    """Tokens that the last event of a stream that counts them tells: as usage, or as llama.cpp's timings."""
    # Inside a text both words would have backslashes before their quotes.
    at = max(events.rfind(b'"usage"'), events.rfind(b'"timings"'))
    start = events.rfind(b"data:", 0, at) if at >= 0 else -1
    if start < 0:
        return None
    end = events.find(b"\n", at)
    return usage_of(events[start + 5 : end if end >= 0 else len(events)])
