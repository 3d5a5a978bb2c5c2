"""From an error to an answer in the envelope of the surface that was asked. The one place that does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from argosy.errors import RequestError
from argosy.protocol.surfaces import OPENAI, Surface

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def send_error(
    send: Send, error: RequestError, request_id: bytes, server_timing: bytes, surface: Surface = OPENAI
) -> None:
    """Answers with the error's status, its envelope, and Retry-After where it has one."""
    body = surface.error_body(error)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id),
        (b"server-timing", server_timing),
    ]
    headers += [(name.encode(), value.encode()) for name, value in headers_of(error).items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def headers_of(error: RequestError) -> dict[str, str]:
    """What an error says besides its body."""
    headers = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return headers
