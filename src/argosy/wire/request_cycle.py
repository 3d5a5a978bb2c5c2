"""One request and its answer on a connection of server.py: what is asked, the body as it comes, the answer's framing.

It has two faces. An ASGI application gets its `scope`, `receive` and `send`; a handler of a hot path (server.py) gets
the cycle itself, whose plain methods cost less. Header lines are given as they go out: `name: value\\r\\n`.
"""

from __future__ import annotations

import asyncio
import http
from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

from argosy.wire.driven import Driven, Signal
from argosy.wire.request_head import RequestHead

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus}
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection"))
_ASGI = {"version": "3.0", "spec_version": "2.3"}
Message = MutableMapping[str, Any]


class Line(Protocol):
    """What a cycle needs of its connection."""

    loop: asyncio.AbstractEventLoop
    closed: bool
    write_paused: bool
    scheme: str
    client: tuple[str, int] | None
    server: tuple[str, int] | None

    def default_lines(self) -> bytes: ...
    @property
    def write(self) -> Callable[[bytes], None]: ...
    async def writable(self) -> None: ...
    def resume_reading(self) -> None: ...
    def cycle_ended(self, cycle: RequestCycle) -> None: ...
    def cycle_over(self, cycle: RequestCycle, failure: BaseException | None) -> None: ...


class RequestCycle:
    """`length`: of the body, where the head tells it. `told`: makers of header lines that go out with any answer."""

    __slots__ = (
        "_begun",
        "_chunked",
        "_connection",
        "_news",
        "_parts",
        "_received",
        "client",
        "continue_expected",
        "ended",
        "head",
        "keep_alive",
        "length",
        "message_complete",
        "started",
        "task",
        "told",
        "unread",
    )

    def __init__(self, connection: Line, head: RequestHead, length: int | None, *, keep_alive: bool) -> None:
        self._connection = connection
        self.client = connection.client
        self.head = head
        self.length = length
        self.keep_alive = keep_alive
        self.continue_expected = head.expects_continue
        self.task: asyncio.Task[None] | Driven | None = None
        self.told: tuple[Callable[[], bytes], ...] = ()
        self._parts: list[bytes] = []
        self.unread = 0
        self.message_complete = False
        self._received = False  # the end of the body has been given out
        self._news: Signal | None = None
        self._begun: bytes | None = None  # an answer's head that waits for its first bytes
        self._chunked = False
        self.started = False
        self.ended = False

    # the connection tells

    def body(self, data: bytes) -> None:
        if self.ended:
            return  # it has been answered without
        self._parts.append(data)
        self.unread += len(data)
        self.wake()

    def whole_body(self, data: bytes) -> None:
        """All of it at once, before anybody waits for it."""
        self._parts.append(data)
        self.message_complete = True

    def wake(self) -> None:
        if self._news is not None:
            self._news.fire()

    # its coroutine tells

    def over(self, failure: BaseException | None) -> None:
        self._connection.cycle_over(self, failure)

    # a handler reads

    def take(self) -> bytes:
        """What has come of the body and has not been taken."""
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        if self.unread:
            self.unread = 0
            self._connection.resume_reading()
        return body

    async def more(self) -> None:
        """Until there is something to take, or the body is complete, or the client has left."""
        connection = self._connection
        while not (self._parts or self.message_complete or connection.closed or self.ended):
            if self.continue_expected:
                self.continue_expected = False
                connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self._wait()

    # a handler answers

    async def writable(self) -> None:
        await self._connection.writable()

    def answer(self, status: int, lines: bytes, body: bytes) -> None:
        """The whole answer, in one step."""
        connection = self._connection
        if connection.closed or self.ended:
            return
        for make in self.told:
            lines += make()
        line = STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        self.started = self.ended = True
        write = connection.write
        write(b"%b%b%bcontent-length: %d\r\n%b%b" % (line, lines, connection.default_lines(), len(body), end, body))
        connection.cycle_ended(self)

    def begin(self, status: int, lines: bytes, length: int | None = None) -> None:
        """The head, which goes out with the first bytes. `length`: of the whole body, where it is known."""
        for make in self.told:
            lines += make()
        self._chunked = length is None and status not in (204, 304)
        line = STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        if length is None:
            self._begun = b"%b%b%b" % (line, lines, self._connection.default_lines())
        else:
            default = self._connection.default_lines()
            self._begun = b"%b%b%bcontent-length: %d\r\n" % (line, lines, default, length)

    def write(self, data: bytes) -> bool:
        """A part of the body. Whether the client keeps up; if not, `writable` is to be awaited before the next part."""
        connection = self._connection
        if self._begun is None and self._chunked and data and not (connection.closed or self.ended):
            connection.write(b"%x\r\n%b\r\n" % (len(data), data))  # nearly every part, in one step
        else:
            self._write(data, last=False)
        return not connection.write_paused

    def end(self, data: bytes = b"") -> None:
        """The last part of it."""
        self._write(data, last=True)

    # the application's face

    def scope(self) -> dict[str, Any]:
        head, connection = self.head, self._connection
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": head.http_version,
            "server": connection.server,
            "client": connection.client,
            "scheme": connection.scheme,
            "method": head.method,
            "root_path": "",
            "path": head.path,
            "raw_path": head.raw_path,
            "query_string": head.query,
            "headers": head.headers,
        }

    async def receive(self) -> Message:
        connection = self._connection
        if self._received:  # all that is left to tell is the client's leave
            while not (connection.closed or self.ended):
                await self._wait()
            return {"type": "http.disconnect"}
        await self.more()
        if not (self._parts or self.message_complete):
            return {"type": "http.disconnect"}
        self._received = self.message_complete
        return {"type": "http.request", "body": self.take(), "more_body": not self._received}

    async def send(self, message: Message) -> None:
        if self._connection.write_paused:
            await self._connection.writable()
        if message["type"] == "http.response.body":
            self._write(message.get("body", b""), last=not message.get("more_body", False))
            return
        lines, length = list[bytes](), None
        for name, value in message.get("headers", ()):
            if name not in _FRAMING:
                lines += (name, b": ", value, b"\r\n")
            elif name == b"content-length":
                length = int(value)
            else:  # framing is ours
                self.keep_alive = self.keep_alive and value.lower() != b"close"
        self.begin(message["status"], b"".join(lines), length)

    # own affairs

    async def _wait(self) -> None:
        if self._news is None:
            self._news = Signal(self._connection.loop)
        await self._news

    def _write(self, data: bytes, *, last: bool) -> None:
        connection = self._connection
        if connection.closed or self.ended:
            return
        begun = self._begun
        if begun is not None:
            self._begun = None
            if self.started:  # a second head: what was begun goes on
                begun = b""
            else:
                begun = self._finished(begun, len(data) if last else None)
                self.started = True
            data = begun + self._framed(data, last=last)
        else:
            data = self._framed(data, last=last)
        if data:
            connection.write(data)
        if last:
            self.ended = True
            self.wake()
            connection.cycle_ended(self)

    def _finished(self, head: bytes, whole_length: int | None) -> bytes:
        """Adds what depends on the first part of the body: how the answer is framed."""
        if self._chunked:
            if whole_length is not None:
                self._chunked = False
                head += b"content-length: %d\r\n" % whole_length
            elif self.head.http_version == "1.0":
                self._chunked = self.keep_alive = False  # ends with its connection
            else:
                head += b"transfer-encoding: chunked\r\n"
        return head + (b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")

    def _framed(self, data: bytes, *, last: bool) -> bytes:
        if self.head.method == "HEAD":
            return b""
        if not self._chunked:
            return data
        if not data:
            return b"0\r\n\r\n" if last else b""
        return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if last else b"%x\r\n%b\r\n" % (len(data), data)
