"""Connections to one origin, kept and used again. Owns connecting (TCP, TLS, proxy) and what is idle."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Protocol

from argosy.errors import BrokenAnswerError, ConnectError
from argosy.wire.connection import Connection, Exchange
from argosy.wire.origin import Origin
from argosy.wire.tls import Pins, check_pin, pinned_context

CONNECT_ANSWER_BYTES = 16 * 1024


class Guard(Protocol):
    def watch(self, exchange: Exchange) -> object: ...


class Pool:
    """Sends requests to one origin over as few connections as it can, as many as it must."""

    def __init__(
        self,
        origin: Origin,
        *,
        proxy: Origin | None = None,
        tls: ssl.SSLContext | None = None,
        pins: Pins | None = None,
    ) -> None:
        """`pins` is asked at each new connection: a server that is started again may have another certificate."""
        self.origin = origin
        self._proxy = proxy
        self._secure = origin.scheme == "https"
        self._tls = tls
        self._pins = pins
        self._idle: deque[Connection] = deque()
        self._closed = False
        self.opened = 0  # connections made so far: tests of reuse read it

    async def exchange(
        self,
        head: bytes,
        body: bytes,
        connect_seconds: float,
        guard: Guard | None = None,
        *,
        may_resend: bool = True,
    ) -> Exchange:
        """Sends a request and waits for its answer's head. Raises ConnectError, BrokenAnswerError.

        `guard` gets the exchange as soon as the request is on its way, so that a time limit can `fail` it.

        A kept connection may be closed by the server just as we use it; then the request goes out once more on a new
        one. Should that not be reached, the server may have died of the request: BrokenAnswerError, not ConnectError.
        A request that may not go out twice (`may_resend`) gets a new connection at once.
        """
        fresh, failure = not may_resend, None
        while True:
            connection = None if fresh else self._take()
            if connection is None:
                fresh = True
                try:
                    connection = await self._connect(connect_seconds)
                except ConnectError:
                    if failure is not None:
                        raise failure from None
                    raise
            exchange = connection.send(head, body)
            if guard is not None:
                guard.watch(exchange)
            try:
                await exchange.answer()
            except BaseException as error:
                exchange.close()
                if fresh or exchange.started or not isinstance(error, BrokenAnswerError):
                    raise
                fresh, failure = True, error
            else:
                return exchange

    @property
    def target_prefix(self) -> str:
        """What stands before the path in a request line: an http proxy wants the whole URL (RFC 9112, 3.2.2)."""
        return str(self.origin) if self._proxy and not self._secure else ""

    def close(self) -> None:
        """Closes what is idle; what is in use is closed when its exchange ends."""
        self._closed = True
        while self._idle:
            self._idle.pop().abort()

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    def _keep(self, connection: Connection) -> None:
        if self._closed:
            connection.abort()
        else:
            self._idle.append(connection)

    def _connect(self, seconds: float) -> asyncio.Task[Connection]:
        """In a task: its time limit needs one, and who asks may be a driven coroutine."""
        return asyncio.get_running_loop().create_task(self._new_connection(seconds))

    async def _new_connection(self, seconds: float) -> Connection:
        loop = asyncio.get_running_loop()
        target = self._proxy or self.origin
        pin = self._pins(self.origin) if self._secure and self._pins is not None else None
        try:
            async with asyncio.timeout(seconds):
                if self._proxy and self._secure:
                    return await self._connect_through_proxy(loop)
                transport, connection = await loop.create_connection(
                    lambda: Connection(loop, self._keep),
                    target.host,
                    target.port,
                    ssl=(pinned_context() if pin is not None else self._context()) if self._secure else None,
                    server_hostname=self.origin.host if self._secure else None,
                )
        except TimeoutError:
            raise ConnectError(f"no connection to {target} within {seconds:g} s", code="connect_timeout") from None
        except OSError as error:  # ssl.SSLError is one
            raise ConnectError(f"no connection to {target}: {error.strerror or error}") from None
        if pin is not None:
            try:
                check_pin(transport.get_extra_info("ssl_object"), pin, self.origin)
            except ConnectError:
                transport.abort()
                raise
        self.opened += 1
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:  # made at the first need: it reads every authority of this machine
            self._tls = ssl.create_default_context()
        return self._tls

    async def _connect_through_proxy(self, loop: asyncio.AbstractEventLoop) -> Connection:
        """A tunnel by CONNECT (RFC 9110, 9.3.6), then TLS inside it."""
        assert self._proxy is not None
        host = f"[{self.origin.host}]" if ":" in self.origin.host else self.origin.host
        authority = f"{host}:{self.origin.port}"  # with its port always, unlike a Host header
        tunnel_made: asyncio.Future[None] = loop.create_future()
        transport, _ = await loop.create_connection(lambda: _Tunnel(tunnel_made), self._proxy.host, self._proxy.port)
        try:
            transport.write(f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n".encode("ascii"))
            await tunnel_made
            connection = Connection(loop, self._keep)
            secured = await loop.start_tls(transport, connection, self._context(), server_hostname=self.origin.host)
        except BaseException:
            transport.abort()
            raise
        if secured is None:
            raise ConnectError(f"the proxy {self._proxy} closed the tunnel to {authority}")
        connection.connection_made(secured)
        self.opened += 1
        return connection


class _Tunnel(asyncio.Protocol):
    """Reads a proxy's answer to CONNECT, and no byte of what follows."""

    def __init__(self, made: asyncio.Future[None]) -> None:
        self._made = made
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if self._made.done():
            return
        if b"\r\n\r\n" not in self._seen:
            if len(self._seen) > CONNECT_ANSWER_BYTES:
                self._made.set_exception(ConnectError("the proxy's answer to CONNECT has no end"))
            return
        line = self._seen.split(b"\r\n", 1)[0]
        if line.split(b" ")[1:2] == [b"200"]:
            self._made.set_result(None)
        else:
            self._made.set_exception(ConnectError(f"the proxy refused the tunnel: {line.decode('latin-1')}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._made.done():
            self._made.set_exception(ConnectError("the proxy closed the connection"))
