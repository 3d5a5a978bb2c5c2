"""One connection to an HTTP/1.1 server, and the one exchange (request and answer) that it carries at a time.

Owns parsing (httptools), keep-alive, back-pressure and abort. Does not own retries, time limits or pooling.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httptools

from argosy.errors import BrokenAnswerError
from argosy.wire.answer_head import AnswerHead
from argosy.wire.driven import Signal
from argosy.wire.known_head import HEAD_END, KnownHead

HIGH_WATER_BYTES = 256 * 1024  # unread bytes of an answer at which we stop reading from its socket
# Of what is no body: a head, interim answers, trailers, extensions of chunks, between any two parts of the body.
LONGEST_HEAD_BYTES = 64 * 1024
COPIED_BYTES = 8192  # of a request's body, up to which it is put behind its head; a longer one is sent beside it


class Exchange:
    """One request under way. One reader; `close()` must be called on every path.

    `active_at`: when the reader last began to wait, or bytes last came.
    """

    __slots__ = (
        "_connection",
        "_news",
        "_parts",
        "active_at",
        "complete",
        "end_told",
        "error",
        "head",
        "sent_at",
        "started",
        "unread",
    )

    def __init__(self, connection: Connection, parts: list[bytes], news: Signal) -> None:
        self._connection = connection
        self._parts = parts  # of the body that have come and are unread: the connection fills it
        self._news = news  # the connection's: it has one exchange at a time
        self.unread = 0  # bytes that have come since the last reading, framing and all
        self.head: AnswerHead | None = None  # None until it is complete
        self.started = False  # at least one byte of the answer has come
        self.complete = False
        self.end_told = True  # False: a complete answer whose end nothing but the connection's told
        self.error: BaseException | None = None
        # Monotonic seconds, not the loop's time: uvloop's has whole milliseconds, of when its turn began.
        self.sent_at = self.active_at = time.monotonic()

    @property
    def waiting(self) -> bool:
        """The reader waits for bytes now; else it is busy elsewhere and the silence is not the server's."""
        return self._news.awaited

    @property
    def finished(self) -> bool:
        """The answer is complete and all of it has been read."""
        return self.complete and not self._parts

    @property
    def status(self) -> int:
        """0 until the head is complete."""
        return self.head.status if self.head is not None else 0

    async def answer(self) -> AnswerHead:
        """The answer's head, once it is complete. Raises BrokenAnswerError, or what `fail` was given."""
        while self.head is None:
            if self.error is not None:
                raise self.error
            self.active_at = time.monotonic()
            await self._news
        return self.head

    async def read(self) -> bytes:
        """All bytes of the body that have come since the last call, waiting for some; b"" at its end."""
        while not self._parts:
            if self.complete:
                return b""
            if self.error is not None:
                raise self.error
            self.active_at = time.monotonic()
            await self._news
        return self.take()

    def take(self) -> bytes:
        """The same without waiting."""
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        if self.unread >= HIGH_WATER_BYTES and not self.complete:
            self._connection.resume_reading()
        self.unread = 0
        return data

    async def read_all(self, limit: int) -> bytes:
        """The body to its end, or at least `limit` bytes of it."""
        parts, size = [], 0
        while size < limit and (data := await self.read()):
            parts.append(data)
            size += len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def news(self) -> None:
        """The connection has something for the reader."""
        self._news.fire()

    def fail(self, error: BaseException) -> None:
        """Ends the exchange from our side (a time limit): the reader gets the error, the server a closed connection."""
        if not self.complete and self.error is None:
            self.error = error
            self._connection.abort()
            self._news.fire()

    def close(self) -> None:
        """Gives the connection back when the answer was complete, else closes it: the server stops its work."""
        self._connection.exchange_closed(self)
        self.error = None  # its traceback leads to the frames that lead here: a ring that only the collector undoes


class _UnaskedAnswerError(Exception):
    """A second answer to one request. httptools hands it on as an HttpParserError."""


class _StrangeHeadError(Exception):
    """Its end is none that we know: what it says could not be told from what follows."""


class _Callbacks:
    """What httptools calls. A part of a body goes into a list without a step of Python; headers are not even told:
    who wants one finds it in the head's bytes."""

    def __init__(self, connection: Connection, parts: list[bytes]) -> None:
        self.on_message_begin = connection.message_begins
        self.on_headers_complete = connection.head_complete
        self.on_body = parts.append
        self.on_message_complete = connection.message_complete


class Connection(asyncio.Protocol):
    """A connection that carries one exchange after another. `on_idle` is told when it can carry the next."""

    __slots__ = (
        "_exchange",
        "_head_bytes",
        "_head_from",
        "_keep_alive",
        "_known",
        "_last",
        "_left",
        "_news",
        "_on_idle",
        "_parser",
        "_parts",
        "_seen",
        "_transport",
        "closed",
        "used",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, on_idle: Callable[[Connection], None]) -> None:
        self._on_idle = on_idle
        self._news = Signal(loop)
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._parser = httptools.HttpResponseParser(_Callbacks(self, self._parts))
        self._exchange: Exchange | None = None
        self._seen = b""  # of an answer, up to the end of its head
        self._head_from = 0  # where in it the head begins, behind those of 1xx
        self._head_bytes = 0  # since the last part of a body
        self._keep_alive = False
        self._last: AnswerHead | None = None
        self._known: KnownHead[AnswerHead] | None = None
        self._left = 0  # of the body, where the head was known
        self.closed = False
        self.used = False  # it has carried an exchange before the present one

    def send(self, head: bytes, body: bytes) -> Exchange:
        """Starts an exchange: `head` is the request line and headers with their blank line."""
        assert self._transport is not None and self._exchange is None
        self._parts.clear()
        self._left = self._head_bytes = 0
        exchange = self._exchange = Exchange(self, self._parts, self._news)
        if len(body) < COPIED_BYTES:
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
            on_idle = self._on_idle
            on_idle(self)
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
        exchange.active_at = time.monotonic()
        exchange.unread += len(data)
        if self._left:
            self._body_goes_on(exchange, data)
        elif exchange.started or self._known is None or (found := self._known.body_of(data)) is None:
            self._parse(exchange, data)
        else:
            exchange.started, exchange.head = True, self._known.meaning
            start, self._left = found
            self._keep_alive = True
            self._body_goes_on(exchange, data[start:])
        if exchange.unread >= HIGH_WATER_BYTES and not exchange.complete and self._transport is not None:
            self._transport.pause_reading()
        exchange.news()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        exchange = self._exchange
        if exchange is None or exchange.complete or exchange.error is not None:
            return
        if exchange.head is not None and not exchange.head.sized and exc is None:
            exchange.end_told = False
            exchange.complete = True  # a body without length ends with its connection (RFC 9112, 6.3)
        else:
            exchange.error = BrokenAnswerError("the server closed the connection before its answer was complete")
        exchange.news()

    # httptools, while it parses

    def message_begins(self) -> None:
        if self._exchange is not None and self._exchange.complete:
            raise _UnaskedAnswerError

    def head_complete(self) -> None:
        exchange = self._exchange
        seen, begin = self._seen, self._head_from
        end = seen.find(HEAD_END, begin) + len(HEAD_END)
        if end < len(HEAD_END):
            raise _StrangeHeadError
        self._head_from = end
        status: int = self._parser.get_status_code()
        if exchange is not None and status >= 200:  # 1xx: another head follows
            said, last = seen[begin:end], self._last
            if last is None or last.bytes != said:  # else it says what the one before said, status and all
                last = self._last = AnswerHead(status, said)
            exchange.head = last
            # Asked here: once the message is over the parser has forgotten it and says no.
            self._keep_alive = self._parser.should_keep_alive()

    def message_complete(self) -> None:
        if self._exchange is not None and self._exchange.head is not None:
            self._exchange.complete = True

    # own affairs

    def _parse(self, exchange: Exchange, data: bytes) -> None:
        first = not exchange.started
        exchange.started = True
        parts = len(self._parts)
        if first:
            self._seen, self._head_from = data, 0
        elif exchange.head is None:
            self._seen += data
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not exchange.complete:
                exchange.error = BrokenAnswerError(f"the answer is not HTTP/1.1 ({error})")
            self.abort()  # behind a complete answer it is junk, which spoils the connection alone
        if len(self._parts) > parts:
            self._head_bytes = 0
        else:
            self._head_bytes += len(data)
            if self._head_bytes > LONGEST_HEAD_BYTES and not exchange.complete and exchange.error is None:
                size = self._head_bytes
                exchange.error = BrokenAnswerError(f"the answer has {size} bytes of headers without any of a body")
                self.abort()
        if exchange.head is None:
            return
        self._seen = b""
        head = exchange.head
        learnable = self._keep_alive and not head.chunked and head.status == 200
        if first and learnable and data.startswith(head.bytes):
            self._known = KnownHead.of(data, head)

    def _body_goes_on(self, exchange: Exchange, data: bytes) -> None:
        """Of an answer whose head was known: its length is all that tells where it ends."""
        if len(data) > self._left:
            data = data[: self._left]
            self.abort()  # more than the answer: nobody asked for it
        if data:
            self._parts.append(data)
        self._left -= len(data)
        exchange.complete = not self._left
