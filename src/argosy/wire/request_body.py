"""The body of a request to a Starlette route: read whole within a bound, then decoded. Not for the hot path."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.requests import Request

from argosy.errors import BadRequestError, TooLargeError

LARGEST_BYTES = 4 * 1024 * 1024
T = TypeVar("T")


async def whole_body(request: Request, *, largest_bytes: int = LARGEST_BYTES) -> bytes:
    """Raises TooLargeError."""
    parts, size = list[bytes](), 0
    async for part in request.stream():
        size += len(part)
        if size > largest_bytes:
            raise TooLargeError(f"At most {largest_bytes} bytes are taken here.")
        parts.append(part)
    return b"".join(parts)


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Raises BadRequestError."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"This is not what is spoken here: {error}") from None
