"""Clients that go away, and a gateway that is stopped: nothing is left behind, nobody is left without a word."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
from door import Door, error_of, record

from argosy.wire.client import Client
from argosy.wire.serving import address_of, listen, serve
from engines import (
    DONE,
    STREAM_HEAD,
    FakeEngine,
    Flood,
    chat_stream,
    chunk,
    delta,
    event,
    events_of,
    held,
    silent_after,
)
from waiting import eventually

FIRST = STREAM_HEAD + chunk(event(delta("Autumn")))


@pytest.fixture
async def door(engine: FakeEngine) -> AsyncIterator[Door]:
    async with Door() as opened:
        await opened.join(engine, concurrency=1, deployment=record(limits={"queue": 5}))
        yield opened


async def test_a_client_that_leaves_in_mid_stream_frees_the_engine_within_a_second(
    door: Door, engine: FakeEngine
) -> None:
    engine.plays.append(silent_after(FIRST))
    reader, writer = await door.ask(stream=True)
    await asyncio.wait_for(reader.readuntil(b"Autumn"), 5)
    assert door.in_flight() == 1
    writer.close()
    await engine.until(lambda: engine.open == 0, seconds=1)
    assert door.in_flight() == 0
    assert (await door.chat()).status == 200
    assert (door.calls[0].status, door.calls[0].error) == (200, "the client left")


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_a_client_that_leaves_before_the_answer_frees_the_engine(
    door: Door, engine: FakeEngine, streamed: bool
) -> None:
    engine.plays.append(silent_after(STREAM_HEAD) if streamed else silent_after())
    _, writer = await door.ask(stream=streamed)
    await engine.until_asked()
    writer.close()
    await engine.until(lambda: engine.open == 0, seconds=1)
    assert door.in_flight() == 0
    assert (door.calls[0].status, door.calls[0].attempts) == (499, 1)
    assert (await door.chat()).status == 200


async def test_a_client_that_leaves_while_it_waits_costs_nothing(door: Door, engine: FakeEngine) -> None:
    gate = asyncio.Event()
    engine.plays.append(held(gate))
    running = asyncio.create_task(door.chat())
    await engine.until_asked()
    _, writer = await door.ask()
    await eventually(lambda: door.dispatcher.waiting() == {"m": 1})
    writer.close()
    await eventually(lambda: door.dispatcher.waiting() == {}, seconds=1)
    assert (door.calls[0].status, door.calls[0].attempts) == (499, 0)
    gate.set()
    assert (await running).status == 200
    assert len(engine.asked) == 1


async def test_a_client_that_leaves_in_the_middle_of_its_request_is_no_request(door: Door, engine: FakeEngine) -> None:
    _, writer = await door.say(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n{")
    await asyncio.sleep(0)
    writer.close()
    await eventually(lambda: len(door.calls) == 1)
    assert door.calls[0].status == 499
    assert not engine.asked


async def test_clients_that_leave_a_stalled_stream_free_the_engine_too(door: Door, engine: FakeEngine) -> None:
    """It is not reading any more when it leaves: the gateway is held up in writing to it."""

    flood = Flood()
    engine.plays.append(flood)
    reader, writer = await door.ask(stream=True)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    await engine.until_asked()
    await flood.held_back(lambda: door.request("GET", "/health"))
    writer.transport.abort()
    await engine.until(lambda: engine.open == 0, seconds=1)
    assert door.in_flight() == 0


async def test_a_cut_off_stream_ends_with_an_error_event(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(silent_after(FIRST, chunk(b'data: {"half')))
    reader, _ = await door.ask(stream=True)
    seen = await asyncio.wait_for(reader.readuntil(event(delta("Autumn"))), 5)
    await door.stop_requests()
    seen += await asyncio.wait_for(reader.readuntil(event(DONE)), 5)
    assert b"half" not in seen
    assert b'"code":"stopping"' in seen
    assert door.calls[0].error == "the gateway was stopped"


async def test_requests_without_an_answer_yet_hear_of_the_stop(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(silent_after())
    running = asyncio.create_task(door.chat())
    await engine.until_asked()
    waiting = asyncio.create_task(door.chat())
    await eventually(lambda: door.dispatcher.waiting() == {"m": 1})
    await door.stop_requests()
    for told in (await running, await waiting):
        assert (told.status, error_of(told)["code"], told.headers["retry-after"]) == (503, "stopping", "5")


async def test_a_client_that_does_not_read_cannot_hold_up_the_stop(door: Door, engine: FakeEngine) -> None:
    flood = Flood()
    engine.plays.append(flood)
    reader, _ = await door.ask(stream=True)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    await engine.until_asked()
    await flood.held_back(lambda: door.request("GET", "/health"))
    async with asyncio.timeout(2):
        await door.stop_requests()


# the server as argosy/wire/serving.py runs it


async def test_a_stopped_gateway_finishes_what_runs_and_takes_nothing_new(door: Door, engine: FakeEngine) -> None:
    gate = asyncio.Event()
    engine.plays.append(held(gate, chat_stream("Autumn", " leaves")))
    listener = listen("127.0.0.1", 0)
    url = f"{address_of(listener)}/v1/chat/completions"
    listening = asyncio.Event()
    serving = asyncio.create_task(serve(door.gateway, listener, 5, listening.set))
    await listening.wait()
    client = Client()
    body = b'{"model":"m","messages":[{"role":"user"}],"stream":true}'
    running = asyncio.create_task(client.request("POST", url, body=body, seconds=5))
    await engine.until_asked()
    signal.raise_signal(signal.SIGTERM)
    await eventually(lambda: listener.fileno() == -1)
    assert not running.done()
    gate.set()
    told = await running
    assert events_of(told.body) == [delta("Autumn"), delta(" leaves"), DONE]
    assert told.headers["connection"] == "close"
    await asyncio.wait_for(serving, 5)
    await client.close()


async def test_a_second_signal_does_not_wait(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(silent_after())
    listener = listen("127.0.0.1", 0)
    url = f"{address_of(listener)}/v1/chat/completions"
    listening = asyncio.Event()
    serving = asyncio.create_task(serve(door.gateway, listener, 3600, listening.set))
    await listening.wait()
    client = Client()
    body = b'{"model":"m","messages":[{"role":"user"}]}'
    running = asyncio.create_task(client.request("POST", url, body=body, seconds=5))
    await engine.until_asked()
    signal.raise_signal(signal.SIGTERM)
    await eventually(lambda: listener.fileno() == -1)
    assert not serving.done()
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(serving, 5)
    await engine.die()  # for the process ends here, and its requests with it
    assert (await running).status == 502
    await client.close()
