"""One request and its answer on a connection of server.py: ASGI's `receive` and `send`, and an answer's framing."""

from __future__ import annotations

import asyncio
import http
from collections.abc import MutableMapping
from typing import Any, Protocol

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus}
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection"))
Message = MutableMapping[str, Any]


class Line(Protocol):
    """What a cycle needs of its connection."""

    loop: asyncio.AbstractEventLoop
    closed: bool
    write_paused: bool

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]: ...
    def write(self, data: bytes) -> None: ...
    async def writable(self) -> None: ...
    def resume_reading(self) -> None: ...
    def cycle_ended(self, cycle: RequestCycle) -> None: ...


class RequestCycle:
    """One request and its answer: ASGI's `receive` and `send`."""

    __slots__ = (
        "_chunked",
        "_connection",
        "_head",
        "_parts",
        "_received",
        "_wanted",
        "continue_expected",
        "ended",
        "keep_alive",
        "message_complete",
        "scope",
        "started",
        "task",
        "unread",
    )

    def __init__(self, connection: Line, scope: dict[str, Any]) -> None:
        self._connection = connection
        self.scope = scope
        self.task: asyncio.Task[None] | None = None
        self.keep_alive = True
        self.continue_expected = False
        self._parts: list[bytes] = []
        self.unread = 0
        self.message_complete = False
        self._received = False  # the end of the body has been given out
        self._wanted: asyncio.Future[None] | None = None
        self._head: bytes | None = None
        self._chunked = False
        self.started = False
        self.ended = False

    # the connection tells

    def body(self, data: bytes) -> None:
        if self.ended:
            return  # the application has answered without it
        self._parts.append(data)
        self.unread += len(data)
        self.wake()

    def wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    # the application asks

    async def receive(self) -> Message:
        connection = self._connection
        if self._received:  # all that is left to tell is the client's leave
            while not (connection.closed or self.ended):
                await self._wait()
            return {"type": "http.disconnect"}
        while not (self._parts or self.message_complete):
            if connection.closed or self.ended:
                return {"type": "http.disconnect"}
            if self.continue_expected:
                self.continue_expected = False
                connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self._wait()
        parts, self._parts = self._parts, []
        self._received = self.message_complete
        self.unread = 0
        connection.resume_reading()
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return {"type": "http.request", "body": body, "more_body": not self._received}

    async def send(self, message: Message) -> None:
        connection = self._connection
        if connection.write_paused:
            await connection.writable()
        if connection.closed or self.ended:
            return
        if message["type"] == "http.response.start":
            self._head = self._make_head(message["status"], message.get("headers", ()))
            return
        data: bytes = message.get("body", b"")
        last = not message.get("more_body", False)
        if self._head is not None:
            head, self._head = self._head, None
            if not self.started:
                head = self._finish_head(head, len(data) if last else None)
            self.started = True
            data = head + self._framed(data, last=last)
        else:
            data = self._framed(data, last=last)
        if data:
            connection.write(data)
        if last:
            self.ended = True
            self.wake()
            connection.cycle_ended(self)

    async def _wait(self) -> None:
        self._wanted = self._connection.loop.create_future()
        try:
            await self._wanted
        finally:
            self._wanted = None

    def _make_head(self, status: int, headers: Any) -> bytes:
        parts = [STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        sized = status in (204, 304)
        for name, value in headers:
            if name in _FRAMING:
                if name != b"content-length":  # framing is ours
                    self.keep_alive = self.keep_alive and value.lower() != b"close"
                    continue
                sized = True
            parts += (name, b": ", value, b"\r\n")
        self._chunked = not sized
        for name, value in self._connection.default_headers:
            parts += (name, b": ", value, b"\r\n")
        return b"".join(parts)

    def _finish_head(self, head: bytes, whole_length: int | None) -> bytes:
        """Adds what depends on the first part of the body: how the answer is framed."""
        if self._chunked and whole_length is not None:
            self._chunked = False
            head += b"content-length: %d\r\n" % whole_length
        elif self._chunked and self.scope["http_version"] == "1.0":
            self._chunked = self.keep_alive = False  # ends with its connection
        elif self._chunked:
            head += b"transfer-encoding: chunked\r\n"
        if not self.keep_alive:
            head += b"connection: close\r\n"
        return head + b"\r\n"

    def _framed(self, data: bytes, *, last: bool) -> bytes:
        if self.scope["method"] == "HEAD":
            return b""
        if not self._chunked:
            return data
        if not data:
            return b"0\r\n\r\n" if last else b""
        return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if last else b"%x\r\n%b\r\n" % (len(data), data)
