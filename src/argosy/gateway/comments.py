"""Signs of life for a stream that waits: comment lines, for clients that ask for them (`x-wait-comments: true`).

Proxies and browsers drop connections that are silent for long. The first comment commits the head: an error that comes
after it is an event of the stream, no status any more. Other replicas are tried all the same: no event was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from argosy.gateway.errors import Send

COMMENT = b": waiting\n\n"


class Comments:
    """`send` of this is what the request's answer goes through; `stop` must be called on every path."""

    def __init__(self, send: Send, request_id: bytes, every_seconds: float) -> None:
        self._send = send
        self._request_id = request_id
        self._every_seconds = every_seconds
        self._committed = False
        self._refusal: list[bytes] | None = None  # the body of an answer that is no stream
        self._speaking = asyncio.get_running_loop().create_task(self._speak())

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if not self._speaking.done():
            self._speaking.cancel()
            await asyncio.wait([self._speaking])
        if not self._committed:
            await self._send(message)
        elif message["type"] == "http.response.start":
            if message["status"] >= 400:
                self._refusal = []
        elif self._refusal is None:
            await self._send(message)
        else:
            self._refusal.append(message.get("body", b""))
            if not message.get("more_body"):
                event = b"data: " + b"".join(self._refusal) + b"\n\ndata: [DONE]\n\n"
                await self._send({"type": "http.response.body", "body": event})

    def stop(self) -> None:
        self._speaking.cancel()

    async def _speak(self) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            if not self._committed:
                self._committed = True
                headers = [
                    (b"content-type", b"text/event-stream; charset=utf-8"),
                    (b"cache-control", b"no-cache"),
                    (b"x-request-id", self._request_id),
                ]
                await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._send({"type": "http.response.body", "body": COMMENT, "more_body": True})
