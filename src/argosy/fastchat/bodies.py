"""Requests of FastChat's processes as values."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.requests import Request

from argosy.wire.request_body import decoded, whole_body

_LARGEST_BYTES = 32 * 1024 * 1024  # they bring pictures along in their prompts

T = TypeVar("T")


async def read(request: Request, shape: type[T]) -> T:
    """Raises BadRequestError, TooLargeError."""
    return decoded(msgspec.json.Decoder(shape), await read_bytes(request))


async def read_bytes(request: Request) -> bytes:
    """Raises TooLargeError."""
    return await whole_body(request, largest_bytes=_LARGEST_BYTES)
