"""Signs of life for a stream that waits: comment lines, for clients that ask for them (`x-wait-comments: true`).

Proxies and browsers drop connections that are silent for long. The first comment commits the head: an error that comes
after it is an event of the stream, no status any more. Other replicas are tried all the same: no event was sent.
"""

from __future__ import annotations

import asyncio

from argosy.gateway.reply import Reply

COMMENT = b": waiting\n\n"


class Comments:
    """The request's answer goes through this one; `stop` must be called on every path."""

    def __init__(self, reply: Reply, request_id: bytes, every_seconds: float) -> None:
        self._reply = reply
        self._request_id = request_id
        self._every_seconds = every_seconds
        self._committed = False
        self._refused = False  # the answer is none of a stream
        self._refusal: list[bytes] = []
        self._speaking = asyncio.get_running_loop().create_task(self._speak())

    def answer(self, status: int, lines: bytes, body: bytes) -> None:
        self.stop()
        if self._committed:
            self.begin(status, lines)
            self.end(body)
        else:
            self._reply.answer(status, lines, body)

    def begin(self, status: int, lines: bytes, length: int | None = None) -> None:
        self.stop()
        if self._committed:
            self._refused = status >= 400
        else:
            self._reply.begin(status, lines, length)

    def write(self, data: bytes) -> bool:
        if self._refused:
            self._refusal.append(data)
            return True
        return self._reply.write(data)

    def end(self, data: bytes = b"") -> None:
        if self._refused:
            data = b"data: " + b"".join([*self._refusal, data]) + b"\n\ndata: [DONE]\n\n"
        self._reply.end(data)

    async def writable(self) -> None:
        await self._reply.writable()

    def stop(self) -> None:
        self._speaking.cancel()

    async def _speak(self) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            if not self._committed:
                self._committed = True
                lines = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-request-id: "
                self._reply.begin(200, lines + self._request_id + b"\r\n")
            if not self._reply.write(COMMENT):
                await self._reply.writable()
