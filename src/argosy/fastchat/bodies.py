"""Requests of FastChat's processes as values."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.requests import Request

from argosy.errors import BadRequestError, TooLargeError

_LARGEST_BYTES = 32 * 1024 * 1024

T = TypeVar("T")


async def read(request: Request, shape: type[T]) -> T:
    """Raises BadRequestError, TooLargeError."""
    return decoded(await read_bytes(request), shape)


async def read_bytes(request: Request) -> bytes:
    """Raises TooLargeError."""
    parts, size = list[bytes](), 0
    async for part in request.stream():
        size += len(part)
        if size > _LARGEST_BYTES:
            raise TooLargeError(f"At most {_LARGEST_BYTES} bytes are taken here.")
        parts.append(part)
    return b"".join(parts)


def decoded(body: bytes, shape: type[T]) -> T:
    """Raises BadRequestError."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"This is not what is spoken here: {error}") from None
