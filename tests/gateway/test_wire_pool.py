"""Connections to one server: kept, used again, left when they cannot be trusted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from argosy.errors import BrokenAnswerError, ConnectError, UpstreamTimeoutError
from argosy.wire.connection import HIGH_WATER_BYTES, Exchange
from argosy.wire.origin import split_url
from argosy.wire.pool import Pool
from engines import (
    LAST_CHUNK,
    STREAM_HEAD,
    UNSIZED_HEAD,
    FakeEngine,
    Flood,
    Play,
    Stage,
    answer,
    chunk,
    head,
    held,
    raw,
    reset_after,
    silent_after,
)

REQUEST = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n"


@pytest.fixture
async def pool(engine: FakeEngine) -> AsyncIterator[Pool]:
    made = Pool(split_url(engine.address)[0])
    yield made
    made.close()


async def exchange(pool: Pool, body: bytes = b"{}") -> Exchange:
    return await pool.exchange(REQUEST.replace(b": 2", b": %d" % len(body)), body, 2.0)


async def whole(found: Exchange) -> bytes:
    parts = []
    while part := await found.read():
        parts.append(part)
    return b"".join(parts)


async def ask(pool: Pool, body: bytes = b"{}") -> tuple[int, bytes]:
    found = await exchange(pool, body)
    try:
        return found.status, await whole(found)
    finally:
        found.close()


async def test_one_connection_carries_one_request_after_another(pool: Pool, engine: FakeEngine) -> None:
    for _ in range(5):
        assert (await ask(pool))[0] == 200
    assert (pool.opened, engine.connections) == (1, 1)


async def test_requests_at_once_get_a_connection_each_and_keep_them(pool: Pool, engine: FakeEngine) -> None:
    gate = asyncio.Event()
    engine.plays.extend([held(gate)] * 3)
    running = [asyncio.create_task(ask(pool)) for _ in range(3)]
    await engine.until_asked(3)
    gate.set()
    await asyncio.gather(*running)
    assert pool.opened == 3
    await asyncio.gather(*(ask(pool) for _ in range(3)))
    assert pool.opened == 3


async def test_a_large_body_arrives_whole(pool: Pool, engine: FakeEngine) -> None:
    body = b"y" * 3_000_000
    assert (await ask(pool, body))[0] == 200
    assert engine.asked[0].body == body


@pytest.mark.parametrize("parted", [False, True], ids=["in one", "byte by byte"])
async def test_chunks_are_put_together(pool: Pool, engine: FakeEngine, parted: bool) -> None:
    data = STREAM_HEAD + chunk(b"one") + chunk(b"two") + b"0\r\ntrailer: x\r\n\r\n"
    engine.plays.append(raw(*([data[at : at + 1] for at in range(len(data))] if parted else [data])))
    assert await ask(pool) == (200, b"onetwo")
    await ask(pool)
    assert pool.opened == 1


async def test_headers_are_told_in_lower_case(pool: Pool, engine: FakeEngine) -> None:
    engine.plays.append(raw(b"HTTP/1.1 200 OK\r\nContent-LENGTH: 0\r\nX-Thing:  Value \r\n\r\n"))
    found = await exchange(pool)
    assert found.head is not None
    assert (found.head.header(b"content-length"), found.head.header(b"nothing")) == (b"0", None)
    assert found.head.header(b"x-thing") == b"Value"
    assert found.head.headers() == [(b"content-length", b"0"), (b"x-thing", b"Value")]
    found.close()


async def test_what_comes_before_the_answer_is_passed_over(pool: Pool, engine: FakeEngine) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
    engine.plays += [raw(b"HTTP/1.1 100 Continue\r\n\r\n" + early + final), raw(early, final)]
    assert await ask(pool) == (200, b"hi")
    assert await ask(pool) == (200, b"hi")
    assert pool.opened == 1


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_ends_with_its_head(pool: Pool, engine: FakeEngine, status: int) -> None:
    engine.plays.append(raw(b"HTTP/1.1 %d So\r\n\r\n" % status))
    assert await ask(pool) == (status, b"")
    assert await ask(pool) != (status, b"")
    assert pool.opened == 1


async def test_a_body_without_length_ends_with_its_connection(pool: Pool, engine: FakeEngine) -> None:
    engine.plays.append(raw(UNSIZED_HEAD, b"one", b"two", close=True))
    assert await ask(pool) == (200, b"onetwo")
    await ask(pool)
    assert pool.opened == 2


async def test_a_server_that_wants_to_close_is_not_asked_again_there(pool: Pool, engine: FakeEngine) -> None:
    engine.plays.append(answer(connection="close"))
    for _ in range(2):
        assert (await ask(pool))[0] == 200
    assert pool.opened == 2


async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced(pool: Pool, engine: FakeEngine) -> None:
    engine.plays.append(raw(head(content_length="2") + b"hi", close=True))
    assert await ask(pool) == (200, b"hi")
    await engine.until(lambda: engine.open == 0)
    assert (await ask(pool))[0] == 200
    assert pool.opened == 2


async def test_a_kept_connection_that_dies_of_our_request_is_tried_anew_once(pool: Pool, engine: FakeEngine) -> None:
    """It may have been closed just as we wrote: nobody can tell."""
    await ask(pool)
    engine.plays.append(reset_after())
    assert (await ask(pool))[0] == 200
    assert (pool.opened, len(engine.asked)) == (2, 3)
    engine.plays += [reset_after(), reset_after()]
    with pytest.raises(BrokenAnswerError):
        await ask(pool)
    assert len(engine.asked) == 5


async def test_a_new_connection_that_dies_of_our_request_is_not_tried_anew(pool: Pool, engine: FakeEngine) -> None:
    engine.plays.append(reset_after())
    with pytest.raises(BrokenAnswerError):
        await ask(pool)
    assert len(engine.asked) == 1


async def test_a_server_that_died_with_a_kept_connection_may_have_died_of_the_request(
    pool: Pool, engine: FakeEngine
) -> None:
    await ask(pool)

    async def last_words(stage: Stage) -> None:
        engine._server.close()
        stage.reset()

    engine.plays.append(last_words)
    with pytest.raises(BrokenAnswerError):
        await ask(pool)


async def test_an_answer_that_had_begun_is_never_asked_for_again(pool: Pool, engine: FakeEngine) -> None:
    await ask(pool)
    engine.plays.append(reset_after(b"HTTP/1.1 2"))
    with pytest.raises(BrokenAnswerError):
        await ask(pool)
    assert len(engine.asked) == 2


CUT: dict[str, Play] = {
    "in a sized body": raw(head(content_length="10") + b"12345", close=True),
    "in chunks": raw(STREAM_HEAD + chunk(b"one"), close=True),
    "between head and body": reset_after(head(content_length="10")),
    "in an unsized body, by a reset": reset_after(UNSIZED_HEAD + b"one"),
}


@pytest.mark.parametrize("cut", CUT)
async def test_a_body_that_is_cut_off_is_never_taken_for_whole(pool: Pool, engine: FakeEngine, cut: str) -> None:
    engine.plays.append(CUT[cut])
    with pytest.raises(BrokenAnswerError):
        await ask(pool)


@pytest.mark.parametrize("nonsense", [b"SSH-2.0-x\r\n", b"HTTP/1.1 xyz\r\n\r\n", b"\0\1\2", b"<html>"])
async def test_what_is_no_http_is_a_broken_answer(pool: Pool, engine: FakeEngine, nonsense: bytes) -> None:
    engine.plays.append(raw(nonsense, close=True))
    with pytest.raises(BrokenAnswerError):
        await ask(pool)


async def test_a_server_that_changes_protocols_is_a_broken_answer(pool: Pool, engine: FakeEngine) -> None:
    engine.plays.append(raw(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"))
    with pytest.raises(BrokenAnswerError):
        await ask(pool)


async def test_bytes_after_an_answer_end_its_connection(pool: Pool, engine: FakeEngine) -> None:
    engine.plays.append(raw(head(content_length="2") + b"hi" + b"more"))
    async with asyncio.timeout(0.3):
        assert await ask(pool) == (200, b"hi")
    assert (await ask(pool))[0] == 200
    assert pool.opened == 2


async def test_bytes_that_come_while_nothing_is_asked_end_the_connection(pool: Pool, engine: FakeEngine) -> None:
    now, sent = asyncio.Event(), asyncio.Event()

    async def talkative(stage: Stage) -> None:
        await answer()(stage)
        await now.wait()
        await stage.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        sent.set()

    engine.plays.append(talkative)
    await ask(pool)
    now.set()
    await sent.wait()
    await engine.until(lambda: engine.open == 0)
    assert b"evil" not in (await ask(pool))[1]


async def test_a_second_answer_in_the_same_bytes_is_not_taken_for_the_first(pool: Pool, engine: FakeEngine) -> None:
    evil = b"HTTP/1.1 500 Evil\r\ncontent-length: 4\r\n\r\nevil"
    engine.plays.append(raw(head(content_length="2") + b"hi" + evil))
    assert await ask(pool) == (200, b"hi")
    await ask(pool)
    assert pool.opened == 2


async def test_an_exchange_that_is_closed_early_ends_its_connection(pool: Pool, engine: FakeEngine) -> None:
    engine.plays.append(silent_after(STREAM_HEAD + chunk(b"one")))
    found = await exchange(pool)
    assert await found.read() == b"one"
    found.close()
    await engine.until(lambda: engine.open == 0, seconds=1)
    assert (await ask(pool))[0] == 200


async def test_a_request_that_is_cancelled_ends_its_connection(pool: Pool, engine: FakeEngine) -> None:
    engine.plays.append(silent_after())
    running = asyncio.create_task(ask(pool))
    await engine.until_asked()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await engine.until(lambda: engine.open == 0, seconds=1)


async def test_an_exchange_that_is_failed_gives_its_reader_the_error(pool: Pool, engine: FakeEngine) -> None:
    engine.plays.append(silent_after(STREAM_HEAD + chunk(b"one")))
    found = await exchange(pool)
    assert await found.read() == b"one"
    reading = asyncio.create_task(found.read())
    await asyncio.sleep(0)
    found.fail(UpstreamTimeoutError("too late"))
    with pytest.raises(UpstreamTimeoutError, match="too late"):
        await reading
    found.close()
    await engine.until(lambda: engine.open == 0, seconds=1)


async def test_a_body_that_is_not_read_holds_back_its_server(pool: Pool, engine: FakeEngine) -> None:
    flood = Flood()
    engine.plays.append(flood)
    found = await exchange(pool)
    other = Pool(pool.origin)
    await flood.held_back(lambda: ask(other))
    assert flood.sent < 30_000_000, "the rest is in the sockets' buffers"
    assert found.unread < HIGH_WATER_BYTES * 4
    seen, wanted = 0, flood.sent + 5_000_000
    while seen < wanted:
        seen += len(await found.read())
    found.close()
    other.close()
    await engine.until(lambda: engine.open == 0, seconds=1)


async def test_a_connection_that_was_held_back_is_used_again(pool: Pool, engine: FakeEngine) -> None:
    body = b"x" * (HIGH_WATER_BYTES * 8)
    for _ in range(3):
        engine.plays.append(answer(body))
        assert (await ask(pool))[1] == body
    assert pool.opened == 1


async def test_a_port_that_nobody_listens_on_is_a_connect_error(pool: Pool, engine: FakeEngine) -> None:
    await engine.die()
    with pytest.raises(ConnectError) as told:
        await ask(pool)
    assert str(pool.origin) in str(told.value)
    assert told.value.code == "engine_unreachable"


async def test_a_name_that_is_not_known_is_a_connect_error() -> None:
    with pytest.raises(ConnectError, match=r"nowhere\.invalid"):
        await ask(Pool(split_url("http://nowhere.invalid")[0]))


async def test_a_pool_that_is_closed_keeps_no_connection(pool: Pool, engine: FakeEngine) -> None:
    gate = asyncio.Event()
    await ask(pool)
    engine.plays.append(held(gate))
    running = asyncio.create_task(ask(pool))
    await engine.until_asked(2)
    pool.close()
    gate.set()
    assert (await running)[0] == 200
    await engine.until(lambda: engine.open == 0, seconds=1)


async def test_trailing_chunks_of_a_long_stream_are_all_there(pool: Pool, engine: FakeEngine) -> None:
    parts = [b"%d," % number for number in range(2000)]
    engine.plays.append(raw(STREAM_HEAD, b"".join(map(chunk, parts)) + LAST_CHUNK))
    assert await ask(pool) == (200, b"".join(parts))
