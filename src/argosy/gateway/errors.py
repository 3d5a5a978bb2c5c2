"""From an error to an answer in the envelope of the surface that was asked. The one place that does it."""

from __future__ import annotations

from argosy.errors import RequestError
from argosy.gateway.reply import Reply
from argosy.protocol.surfaces import OPENAI, Surface


def answer_error(
    reply: Reply, error: RequestError, request_id: bytes, server_timing: bytes, surface: Surface = OPENAI
) -> None:
    """Answers with the error's status, its envelope, and Retry-After where it has one."""
    lines = b"content-type: application/json\r\nx-request-id: %b\r\nserver-timing: %b\r\n" % (request_id, server_timing)
    for name, value in headers_of(error).items():
        lines += f"{name}: {value}\r\n".encode()
    reply.answer(error.status, lines, surface.error_body(error))


def headers_of(error: RequestError) -> dict[str, str]:
    """What an error says besides its body."""
    headers = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return headers
