"""Time limits, and limits of size."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from door import MESSAGES, Door, error_of, record

from engines import (
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    UNSIZED_HEAD,
    FakeEngine,
    Flood,
    Stage,
    answer,
    chat_stream,
    chunk,
    delta,
    event,
    head,
    silent_after,
)
from waiting import eventually

FIRST = STREAM_HEAD + chunk(event(delta("Autumn")))


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with Door() as opened:
        yield opened


async def test_a_stream_whose_first_event_does_not_come_is_a_504(door: Door, engine: FakeEngine) -> None:
    """llama.cpp sends its head at once and its first event after the prompt has been read."""
    await door.join(engine, deployment=record(limits={"first_token": 0.05}))
    engine.plays += [silent_after(STREAM_HEAD), silent_after()]
    for _ in range(2):
        told = await door.chat(stream=True)
        assert told.status == 504
        assert error_of(told)["code"] == "first_token_timeout"
        assert "m.0 has sent no event within 0.05 s (timeouts.first_token)" in error_of(told)["message"]
    await engine.until(lambda: engine.open == 0)  # what would come is not waited for
    assert door.calls[-1].attempts == 1


async def test_a_plain_answer_may_take_longer_than_a_first_token(door: Door, engine: FakeEngine) -> None:
    gate = asyncio.Event()

    async def play(stage: Stage) -> None:
        await gate.wait()
        await answer()(stage)

    await door.join(engine, deployment=record(limits={"first_token": 0.01, "idle": 0.01, "total": 5}))
    engine.plays.append(play)
    waiting = asyncio.create_task(door.chat())
    assert not (await asyncio.wait([waiting], timeout=0.25))[0]
    gate.set()
    assert (await waiting).status == 200


async def test_a_stream_that_falls_silent_ends_with_an_error_event(door: Door, engine: FakeEngine) -> None:
    await door.join(engine, deployment=record(limits={"idle": 0.05}))
    engine.plays.append(silent_after(FIRST))
    events = await door.streamed()
    assert [events[0], events[2]] == [delta("Autumn"), DONE]
    assert events[1]["error"]["code"] == "idle_timeout"
    assert "timeouts.idle" in door.calls[-1].error
    await engine.until(lambda: engine.open == 0)


async def test_half_an_event_before_the_silence_is_not_passed_on(door: Door, engine: FakeEngine) -> None:
    await door.join(engine, deployment=record(limits={"idle": 0.05}))
    engine.plays.append(silent_after(FIRST, chunk(b'data: {"half')))
    events = await door.streamed()
    assert [events[0], events[1]["error"]["code"], events[2]] == [delta("Autumn"), "idle_timeout", DONE]


async def test_a_stream_with_signs_of_life_is_never_idle(door: Door, engine: FakeEngine) -> None:
    await door.join(engine, deployment=record(limits={"idle": 0.25}))

    async def play(stage: Stage) -> None:
        await stage.send(STREAM_HEAD)
        for _ in range(4):
            await stage.send(chunk(event(delta("x"))))
            await asyncio.sleep(0.1)  # longer in all than the limit
        await stage.send(chunk(event(DONE)) + LAST_CHUNK)

    engine.plays.append(play)
    assert await door.streamed() == [delta("x")] * 4 + [DONE]


async def test_total_ends_a_stream_however_lively(door: Door, engine: FakeEngine) -> None:
    async def play(stage: Stage) -> None:
        await stage.send(STREAM_HEAD)
        while True:
            await stage.send(chunk(event(delta("x"))))
            await asyncio.sleep(0.02)

    await door.join(engine, deployment=record(limits={"total": 0.2}))
    engine.plays.append(play)
    events = await door.streamed()
    assert events[0] == delta("x")
    assert [events[-2]["error"]["code"], events[-1]] == ["total_timeout", DONE]
    await engine.until(lambda: engine.open == 0)


async def test_total_ends_a_plain_answer_with_a_504(door: Door, engine: FakeEngine) -> None:
    await door.join(engine, deployment=record(limits={"total": 0.05}))
    engine.plays += [silent_after(), silent_after(head(content_type="application/json", content_length="9"), b"{")]
    for _ in range(2):
        told = await door.chat()
        assert (told.status, error_of(told)["code"]) == (504, "total_timeout")
    await engine.until(lambda: engine.open == 0)


async def test_a_request_that_timed_out_is_not_given_to_another(door: Door, engine: FakeEngine) -> None:
    """It would only take as long again."""
    async with FakeEngine() as second:
        deployment = record(limits={"total": 0.05})
        await door.join(engine, deployment=deployment)
        await door.join(second, "m.1", deployment=deployment)
        engine.plays.append(silent_after())
        assert (await door.chat()).status == 504
        assert not second.asked


async def test_total_frees_the_replica_of_a_client_that_does_not_read(door: Door, engine: FakeEngine) -> None:
    await door.join(engine, deployment=record(limits={"total": 0.2}))
    engine.plays.append(Flood())
    reader, _ = await door.ask(stream=True)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    await engine.until_asked()
    await engine.until(lambda: engine.open == 0)  # that much works: the engine is free
    await eventually(lambda: door.in_flight() == 0, seconds=2)


async def test_a_time_limit_is_never_taken_for_the_end_of_an_unsized_answer(door: Door, engine: FakeEngine) -> None:
    """The limit runs out while the client is not reading; the body ends, if ever, with its connection."""

    async def play(stage: Stage) -> None:
        await stage.send(UNSIZED_HEAD)
        while True:
            await stage.send(event(delta("x" * 60_000)))

    await door.join(engine, deployment=record(limits={"total": 0.2}))
    engine.plays.append(play)
    url, body = f"{door.url}/v1/chat/completions", {"model": "m", "messages": MESSAGES, "stream": True}
    async with door.client.stream("POST", url, body=json.dumps(body).encode(), seconds=5) as told:
        await engine.until(lambda: engine.open == 0)  # the limit has run out while this client was elsewhere
        seen = b"".join([part async for part in told.chunks()])
    assert b"total_timeout" in seen[-1000:]


async def test_a_slow_reader_holds_back_its_own_engine_and_nobody_else(door: Door, engine: FakeEngine) -> None:
    flood = Flood()
    await door.join(engine)
    engine.plays.append(flood)
    reader, writer = await door.ask(stream=True)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    await engine.until_asked()

    async def chat_of_another() -> None:
        assert (await door.chat()).status == 200

    await flood.held_back(chat_of_another)
    assert 0 < flood.sent < 30_000_000, "what was sent lies in buffers: the sockets', and a bounded one of ours"
    writer.transport.abort()
    await eventually(lambda: door.in_flight() == 0, seconds=1)


async def test_a_slow_reader_gets_all_of_it(door: Door, engine: FakeEngine) -> None:
    await door.join(engine)
    engine.plays.append(chat_stream(*["x" * 65_000] * 150))
    reader, _ = await door.ask(stream=True)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    await engine.until_asked()
    for _ in range(30):
        assert (await door.chat()).status == 200
    reader._transport.resume_reading()  # type: ignore[attr-defined]
    seen = bytearray()  # whole: a part may end in the middle of an event
    async with asyncio.timeout(5):
        while b"data: [DONE]" not in seen[-40:]:
            seen += await reader.read(1_000_000)
    assert seen.count(b"data: {") == 150


async def test_idle_does_not_count_while_the_client_is_slow(door: Door, engine: FakeEngine) -> None:
    await door.join(engine, deployment=record(limits={"idle": 0.05}))
    engine.plays.append(chat_stream(*["x" * 65_000] * 150))
    reader, _ = await door.ask(stream=True)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    await engine.until_asked()
    assert not (await asyncio.wait([asyncio.create_task(engine.until(lambda: engine.open == 0))], timeout=0.4))[0]
    reader._transport.resume_reading()  # type: ignore[attr-defined]
    seen = b""
    async with asyncio.timeout(5):
        while b"[DONE]" not in seen[-40:]:
            seen += await reader.read(1_000_000)
    assert b'"error"' not in seen


async def test_a_body_that_is_too_large_is_refused_by_its_length(engine: FakeEngine) -> None:
    async with Door(max_body_bytes=1000) as door:
        await door.join(engine)
        assert (await door.chat(user="x" * 500)).status == 200
        told = await door.chat(user="x" * 1000)
        assert told.status == 413
        assert error_of(told)["code"] == "request_too_large"
        assert "gateway.max_body_mib" in error_of(told)["message"]
        assert len(engine.asked) == 1


async def test_a_body_that_grows_too_large_is_refused_before_it_is_whole(engine: FakeEngine) -> None:
    async with Door(max_body_bytes=1000) as door:
        reader, writer = await door.say(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for _ in range(3):
            writer.write(chunk(b"x" * 400))
            await asyncio.sleep(0)
        seen = await asyncio.wait_for(reader.readuntil(b"}}"), 5)
        assert seen.startswith(b"HTTP/1.1 413")
        writer.close()


async def test_a_chunked_body_is_read_whole(door: Door, engine: FakeEngine) -> None:
    await door.join(engine)
    body = json.dumps({"model": "m", "messages": MESSAGES}).encode()
    data = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    for byte in range(0, len(body), 9):
        data += chunk(body[byte : byte + 9])
    reader, _ = await door.say(data + LAST_CHUNK)
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200")
    assert engine.asked[-1].body == body
