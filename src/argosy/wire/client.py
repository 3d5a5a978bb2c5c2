"""Requests for control traffic: heartbeats, probes, the command line. The relay uses pools directly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from argosy.errors import UpstreamTimeoutError
from argosy.wire.connection import Exchange
from argosy.wire.origin import Origin, proxy_for, split_url
from argosy.wire.pool import Pool
from argosy.wire.tls import Pins

_KEPT_POOLS = 1024


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class StreamedAnswer:
    """An answer whose body comes in parts."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.status = exchange.status
        self.headers = _headers(exchange)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises BrokenAnswerError when the server breaks off."""
        while data := await self._exchange.read():
            yield data


class Client:
    """HTTP to any number of servers, connections kept.

    `proxies`: environment variables to find a proxy in; None (the default) never uses one: traffic inside a fleet must
    not leave by a company's proxy. `pins`: how gateways with a certificate are known again (tls.py).
    """

    def __init__(
        self,
        *,
        connect_seconds: float = 2.0,
        proxies: Mapping[str, str] | None = None,
        pins: Pins | None = None,
    ) -> None:
        self._connect_seconds = connect_seconds
        self._proxies = proxies
        self._pins = pins
        self._pools: dict[Origin, Pool] = {}

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"", seconds: float
    ) -> Answer:
        """The whole answer within `seconds`. Raises ConnectError, BrokenAnswerError, UpstreamTimeoutError."""
        try:
            async with (
                asyncio.timeout(seconds),
                self.stream(method, url, headers=headers, body=body, seconds=seconds) as answer,
            ):
                parts = [part async for part in answer.chunks()]
        except TimeoutError:
            raise UpstreamTimeoutError(f"{method} {url}: no whole answer within {seconds:g} s") from None
        return Answer(answer.status, answer.headers, b"".join(parts))

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"", seconds: float
    ) -> AsyncIterator[StreamedAnswer]:
        """An answer in parts; its head must come within `seconds`, its parts may take as long as they like."""
        origin, path = split_url(url)
        pool = self._pool(origin)
        head = request_head(method, origin, f"{pool.target_prefix}{path or '/'}", headers or {}, len(body))
        try:
            async with asyncio.timeout(seconds):
                exchange = await pool.exchange(head, body, min(self._connect_seconds, seconds))
        except TimeoutError:
            raise UpstreamTimeoutError(f"{method} {url}: no answer within {seconds:g} s") from None
        try:
            yield StreamedAnswer(exchange)
        finally:
            exchange.close()

    async def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    def _pool(self, origin: Origin) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:
            if len(self._pools) >= _KEPT_POOLS:
                self._pools.pop(next(iter(self._pools))).close()
            proxy = proxy_for(origin, self._proxies) if self._proxies is not None else None
            pool = self._pools[origin] = Pool(origin, proxy=proxy, pins=self._pins)
        return pool


def request_head(method: str, origin: Origin, target: str, headers: Mapping[str, str], length: int) -> bytes:
    """Request line and headers with their blank line. Header values must hold no line break."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {origin.authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if length or method not in ("GET", "HEAD", "DELETE"):
        lines.append(f"content-length: {length}")
    assert not any("\r" in line or "\n" in line for line in lines), "a header would smuggle another"
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _headers(exchange: Exchange) -> dict[str, str]:
    head = exchange.head
    assert head is not None, "a pool hands out exchanges whose head is there"
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers()}
