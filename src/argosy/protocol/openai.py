"""The OpenAI surface as far as the gateway must understand it: a look into a request, and the error envelope.

A look is one msgspec pass that decodes only the fields it needs; everything else stays raw bytes, and the body goes to
the engine as it came. Formats: https://platform.openai.com/docs/api-reference.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from argosy.errors import BadRequestError, RequestError

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"


class Peek(msgspec.Struct, frozen=True, gc=False):
    """What routing needs of a request's body."""

    model: str | None = None
    stream: bool | UnsetType | None = UNSET
    stream_options: dict[str, Any] | UnsetType | None = UNSET
    n: int | None = None
    messages: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    # BOUNDS: each is told from an explicit null, which must be replaced where it stands
    max_tokens: int | UnsetType | None = UNSET
    max_completion_tokens: int | UnsetType | None = UNSET
    n_predict: int | UnsetType | None = UNSET


BOUNDS = ("max_tokens", "max_completion_tokens", "n_predict")  # fields that bound an answer; n_predict is llama.cpp's
STREAMED = (CHAT, COMPLETIONS)  # paths that answer in pieces where a request wants it
REQUIRED = {CHAT: "messages", COMPLETIONS: "prompt", EMBEDDINGS: "input"}  # path → the field that must be there
_PEEK = msgspec.json.Decoder(Peek)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def peek(path: str, body: bytes) -> Peek:
    """Reads what routing needs, and checks what every engine needs. Raises BadRequestError naming the field."""
    try:
        found = _PEEK.decode(body)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        field = where.rstrip("`").lstrip(".") or None
        said = f"Invalid value for '{field}': {message}." if field else f"{message}."
        raise BadRequestError(said, param=field) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error) from None
    if not found.model:
        raise BadRequestError("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
    field = REQUIRED[path]
    start = bytes(memoryview(getattr(found, field))[:32])  # only the start: it may hold megabytes
    if start in (b"", b"null"):
        raise BadRequestError(f"Missing required parameter: '{field}'.", param=field, code="missing_required_parameter")
    if field == "messages":
        if start[:1] != b"[":
            raise BadRequestError("Invalid type for 'messages': expected an array of objects.", param="messages")
        if start[1:].lstrip()[:1] == b"]":
            raise BadRequestError(
                "Invalid 'messages': empty array, where at least one message is wanted.", param="messages"
            )
    return found


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
    inside = body.index(b"{") + 1
    return msgspec.json.encode(fields)[:-1] + b"," + body[inside:]


def fields_of(body: bytes) -> dict[str, msgspec.Raw]:
    """The object's top-level fields, undecoded. Raises BadRequestError as `with_fields` does."""
    try:
        return _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error) from None


def _no_json(error: Exception) -> BadRequestError:
    return BadRequestError(f"The request's body is not valid JSON: {error}")


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


def is_whole_event(data: bytes) -> bool:
    """Whether bytes at a stream's end are a whole event of the OpenAI wire that only lacks its blank line."""
    line = data.strip().rpartition(b"\n")[2]
    return line.startswith(b"data:") and (line[5:].strip() == b"[DONE]" or is_json(line[5:]))


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Timings(msgspec.Struct, frozen=True):
    prompt_n: int = 0
    cache_n: int = 0
    predicted_n: int = 0


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


def usage_of_stream(events: bytes) -> Usage | None:
    """Tokens that the last event of a stream that counts them tells: as usage, or as llama.cpp's timings."""
    # Inside a text both words would have backslashes before their quotes.
    at = max(events.rfind(b'"usage"'), events.rfind(b'"timings"'))
    start = events.rfind(b"data:", 0, at) if at >= 0 else -1
    if start < 0:
        return None
    end = events.find(b"\n", at)
    return usage_of(events[start + 5 : end if end >= 0 else len(events)])
