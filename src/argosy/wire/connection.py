"""One connection to an HTTP/1.1 server, and the one exchange (request and answer) that it carries at a time.

Owns parsing (httptools), keep-alive, back-pressure and abort. Does not own retries, time limits or pooling.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httptools

from argosy.errors import BrokenAnswerError

HIGH_WATER_BYTES = 256 * 1024  # unread bytes of an answer at which we stop reading from its socket
# Of what is no body: a head, interim answers, trailers, extensions of chunks, between any two parts of the body.
LONGEST_HEAD_BYTES = 64 * 1024


class Exchange:
    """One request under way. One reader; `close()` must be called on every path.

    `active_at`: when the reader last began to wait, or bytes last came.
    """

    __slots__ = (
        "_buffered",
        "_chunks",
        "_connection",
        "_loop",
        "_waiter",
        "active_at",
        "complete",
        "end_told",
        "error",
        "headers",
        "sent_at",
        "started",
        "status",
    )

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._waiter: asyncio.Future[None] | None = None
        self.status = 0  # 0 until the head is complete
        self.headers: list[tuple[bytes, bytes]] = []  # names in lower case
        self.started = False  # at least one byte of the answer has come
        self.complete = False
        self.end_told = True  # False: a complete answer whose end nothing but the connection's told
        self.error: BaseException | None = None
        # Monotonic seconds, not the loop's time: uvloop's has whole milliseconds, of when its turn began.
        self.sent_at = self.active_at = time.monotonic()

    @property
    def waiting(self) -> bool:
        """The reader waits for bytes now; else it is busy elsewhere and the silence is not the server's."""
        return self._waiter is not None

    @property
    def finished(self) -> bool:
        """The answer is complete and all of it has been read."""
        return self.complete and not self._chunks

    def header(self, name: bytes) -> bytes | None:
        for key, value in self.headers:
            if key == name:
                return value
        return None

    async def head(self) -> int:
        """The status, once the head is complete. Raises BrokenAnswerError, or what `fail` was given."""
        while not self.status:
            await self._wait()
        return self.status

    async def read(self) -> bytes:
        """All bytes of the body that have come since the last call, waiting for some; b"" at its end."""
        while not self._chunks:
            if self.complete:
                return b""
            await self._wait()
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        if self._buffered >= HIGH_WATER_BYTES and not self.complete:
            self._connection.resume_reading()
        self._buffered = 0
        return data

    async def read_all(self, limit: int) -> bytes:
        """The body to its end, or at least `limit` bytes of it."""
        data = await self.read()
        if self.finished:
            return data
        parts, size = [data], len(data)
        while size < limit and (data := await self.read()):
            parts.append(data)
            size += len(data)
        return b"".join(parts)

    def fail(self, error: BaseException) -> None:
        """Ends the exchange from our side (a time limit): the reader gets the error, the server a closed connection."""
        if not self.complete and self.error is None:
            self.error = error
            self._wake()
            self._connection.abort()

    def close(self) -> None:
        """Gives the connection back when the answer was complete, else closes it: the server stops its work."""
        self._connection.exchange_closed(self)
        self.error = None  # its traceback leads to the frames that lead here: a ring that only the collector undoes

    async def _wait(self) -> None:
        if self.error is not None:
            raise self.error
        self.active_at = time.monotonic()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self.error is not None and not self._chunks:
            raise self.error

    # called by the connection

    def _body(self, data: bytes) -> bool:
        """Takes a part of the body; True: too much is unread, stop reading."""
        self._chunks.append(data)
        self._buffered += len(data)
        return self._buffered >= HIGH_WATER_BYTES

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _UnaskedAnswerError(Exception):
    """A second answer to one request. httptools hands it on as an HttpParserError."""


class Connection(asyncio.Protocol):
    """A connection that carries one exchange after another. `on_idle` is told when it can carry the next."""

    __slots__ = (
        "_exchange",
        "_head_bytes",
        "_headers",
        "_keep_alive",
        "_loop",
        "_on_idle",
        "_parser",
        "_sized",
        "_transport",
        "closed",
        "used",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, on_idle: Callable[[Connection], None]) -> None:
        self._loop = loop
        self._on_idle = on_idle
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0  # since the last part of a body
        self._keep_alive = False
        self._sized = False  # the answer's head tells where its body ends
        self.closed = False
        self.used = False  # it has carried an exchange before the present one

    def send(self, head: bytes, body: bytes) -> Exchange:
        """Starts an exchange: `head` is the request line and headers with their blank line."""
        assert self._transport is not None and self._exchange is None
        exchange = self._exchange = Exchange(self, self._loop)
        self._head_bytes = 0
        if len(body) < 65536:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        return exchange

    def abort(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def resume_reading(self) -> None:
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()

    def exchange_closed(self, exchange: Exchange) -> None:
        if self._exchange is not exchange:
            return
        self._exchange = None
        if exchange.complete and self._keep_alive and not self.closed:
            self.used = True
            self._on_idle(self)
        else:
            self.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or exchange.complete:
            self.abort()  # bytes that nobody asked for: the connection cannot be trusted any more
            return
        exchange.started = True
        exchange.active_at = time.monotonic()
        buffered = exchange._buffered
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not exchange.complete:
                self._fail(BrokenAnswerError(f"the answer is not HTTP/1.1 ({error})"))
            self.abort()  # behind a complete answer it is junk, which spoils the connection alone
        if exchange._buffered == buffered:
            self._head_bytes += len(data)
            if self._head_bytes > LONGEST_HEAD_BYTES and not exchange.complete:
                size = self._head_bytes
                self._fail(BrokenAnswerError(f"the answer has {size} bytes of headers without any of a body"))
                self.abort()
        else:
            self._head_bytes = 0
        exchange._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        exchange = self._exchange
        if exchange is None or exchange.complete or exchange.error is not None:
            return
        if exchange.status and not self._sized and exc is None:
            exchange.end_told = False
            exchange.complete = True  # a body without length ends with its connection (RFC 9112, 6.3)
            exchange._wake()
        else:
            self._fail(BrokenAnswerError("the server closed the connection before its answer was complete"))

    def _fail(self, error: BaseException) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.error is None:
            exchange.error = error
            exchange._wake()

    # httptools callbacks

    def on_message_begin(self) -> None:
        if self._exchange is not None and self._exchange.complete:
            raise _UnaskedAnswerError
        self._headers = []
        self._sized = False

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._sized = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        exchange = self._exchange
        status: int = self._parser.get_status_code()
        if exchange is not None and status >= 200:  # 1xx: another head follows
            if status in (204, 304):
                self._sized = True
            exchange.status = status
            exchange.headers = self._headers
            # Asked here: once the message is over the parser has forgotten it and says no.
            self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        exchange = self._exchange
        if exchange is not None and exchange._body(body) and self._transport is not None:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.status:
            if exchange._buffered >= HIGH_WATER_BYTES:
                self.resume_reading()  # it was paused for bytes that are all here now
            exchange.complete = True
