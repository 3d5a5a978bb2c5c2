"""https, and proxies on the way to it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from argosy.errors import ConnectError
from argosy.wire.connection import Exchange
from argosy.wire.origin import Origin, split_url
from argosy.wire.pool import Pool
from engines import CHAT, DONE, FakeEngine, Stage, answer, delta, events_of, raw, silent_after, stream

PEM = Path(__file__).with_name("localhost.pem")


def of_server() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


def of_client() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(PEM))


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with FakeEngine(tls=of_server()) as started:
        yield started


async def tunnel(stage: Stage) -> None:
    """Does what CONNECT asks for."""
    host, _, port = stage.asked.target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await stage.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    try:
        await asyncio.gather(carry(stage.reader, writer), carry(reader, stage.writer))
    finally:
        stage.keep = False
        writer.transport.abort()


def pool_to(engine: FakeEngine, proxy: FakeEngine | None = None) -> Pool:
    origin, _ = split_url(engine.address)
    return Pool(origin, proxy=split_url(proxy.address)[0] if proxy else None, tls=of_client())


async def ask(pool: Pool, seconds: float = 2.0) -> tuple[Exchange, bytes]:
    head = f"GET {pool.target_prefix}/v1/models HTTP/1.1\r\nhost: {pool.origin.authority}\r\n\r\n".encode()
    found = await pool.exchange(head, b"", seconds)
    data = await found.read_all(10_000_000)
    found.close()
    return found, data


async def test_https_is_spoken_and_its_connections_are_kept(engine: FakeEngine) -> None:
    pool = pool_to(engine)
    for _ in range(3):
        found, _ = await ask(pool)
        assert found.status == 200
    assert (pool.opened, engine.connections) == (1, 1)
    pool.close()


async def test_a_stream_and_megabytes_come_through_https(engine: FakeEngine) -> None:
    pool = pool_to(engine)
    engine.plays += [stream(delta("Autumn"), DONE), answer(b"x" * 3_000_000)]
    assert events_of((await ask(pool))[1]) == [delta("Autumn"), DONE]
    assert (await ask(pool))[1] == b"x" * 3_000_000
    pool.close()


async def test_a_certificate_that_nobody_vouches_for_is_refused(engine: FakeEngine) -> None:
    pool = Pool(split_url(engine.address)[0])
    with pytest.raises(ConnectError, match="certificate"):
        await ask(pool)
    assert not engine.asked


async def test_a_certificate_of_another_name_is_refused(engine: FakeEngine) -> None:
    pool = Pool(Origin("https", "127.0.0.2", split_url(engine.address)[0].port), tls=of_client())
    with pytest.raises(ConnectError):
        await ask(pool)


async def test_https_where_http_is_spoken_is_a_connect_error() -> None:
    async with FakeEngine(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n", close=True)) as engine:
        pool = Pool(Origin("https", "127.0.0.1", split_url(engine.address)[0].port), tls=of_client())
        with pytest.raises(ConnectError):
            await ask(pool, seconds=0.1)


async def test_a_tunnel_carries_https_and_is_kept(engine: FakeEngine) -> None:
    async with FakeEngine(tunnel) as proxy:
        pool = pool_to(engine, proxy)
        for _ in range(3):
            found, data = await ask(pool)
            assert found.status == 200 and b"Hello." in data
        assert [(asked.method, asked.target) for asked in proxy.asked] == [
            ("CONNECT", engine.address.removeprefix("https://"))
        ]
        assert [asked.target for asked in engine.asked] == ["/v1/models"] * 3, "inside the tunnel there is no proxy"
        assert pool.opened == 1
        pool.close()
        await engine.until(lambda: engine.open == 0)


async def test_tls_inside_a_tunnel_is_with_the_server_itself(engine: FakeEngine) -> None:
    async with FakeEngine(tunnel) as proxy:
        origin, _ = split_url(engine.address)
        pool = Pool(origin, proxy=split_url(proxy.address)[0])  # trusts nobody it has not been told of
        with pytest.raises(ConnectError, match="certificate"):
            await ask(pool)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refused the tunnel: HTTP/1.1 407 Proxy"),
        (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", "refused the tunnel: HTTP/1.1 403 Forbidden"),
        (b"nonsense\r\n\r\n", "refused the tunnel: nonsense"),
        (b"", "the proxy closed the connection"),
        (b"x" * 20_000, "has no end"),
    ],
)
async def test_a_proxy_that_makes_no_tunnel_says_why(engine: FakeEngine, said: bytes, told: str) -> None:
    async with FakeEngine(raw(said, close=True)) as proxy:
        with pytest.raises(ConnectError) as error:
            await ask(pool_to(engine, proxy))
        assert told in str(error.value)
        await proxy.until(lambda: proxy.open == 0)
    assert not engine.asked


async def test_a_proxy_that_says_nothing_is_a_connect_timeout(engine: FakeEngine) -> None:
    async with FakeEngine(silent_after()) as proxy:
        with pytest.raises(ConnectError) as error:
            await ask(pool_to(engine, proxy), seconds=0.05)
        assert error.value.code == "connect_timeout"
        await proxy.until(lambda: proxy.open == 0)


async def test_a_proxy_that_is_gone_is_a_connect_error(engine: FakeEngine) -> None:
    async with FakeEngine() as proxy:
        pool = pool_to(engine, proxy)
        await proxy.die()
        with pytest.raises(ConnectError) as error:
            await ask(pool)
        assert "no connection to http://127.0.0.1" in str(error.value)


async def test_an_http_proxy_gets_the_whole_url() -> None:
    async with FakeEngine() as proxy:
        pool = Pool(Origin("http", "models.example", 80), proxy=split_url(proxy.address)[0])
        for _ in range(2):
            found, data = await ask(pool)
            assert found.status == 200 and str(CHAT["id"]).encode() in data
        assert [asked.target for asked in proxy.asked] == ["http://models.example/v1/models"] * 2
        assert {asked.headers["host"] for asked in proxy.asked} == {"models.example"}
        assert pool.opened == 1
        pool.close()


async def test_a_tunnel_to_an_ipv6_address_is_asked_for_in_brackets() -> None:
    async with FakeEngine(raw(b"HTTP/1.1 403 No\r\n\r\n")) as proxy:
        pool = Pool(Origin("https", "::1", 443), proxy=split_url(proxy.address)[0], tls=of_client())
        with pytest.raises(ConnectError):
            await ask(pool)
        assert (proxy.asked[0].target, proxy.asked[0].headers["host"]) == ("[::1]:443", "[::1]:443")
