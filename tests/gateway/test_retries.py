"""What a client sees of replicas that fail: as little as can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from door import Door, error_of, record

from argosy.dispatch.retries import RETRY_FLOOR
from engines import (
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    UNSIZED_HEAD,
    FakeEngine,
    Play,
    Stage,
    answer,
    chat_stream,
    chunk,
    delta,
    event,
    head,
    raw,
    reset_after,
)


@pytest.fixture
async def engines() -> AsyncIterator[list[FakeEngine]]:
    """Three; requests go to them in this order."""
    async with FakeEngine(name="0") as a, FakeEngine(name="1") as b, FakeEngine(name="2") as c:
        yield [a, b, c]


@pytest.fixture
async def door(engines: list[FakeEngine]) -> AsyncIterator[Door]:
    async with Door() as opened:
        deployment = record(replicas=3, limits={"queue": 0.2})
        for index, engine in enumerate(engines):
            await opened.join(engine, f"m.{index}", deployment=deployment)
        yield opened


DEATHS: dict[str, Play] = {
    "before a byte": reset_after(),
    "in the head": reset_after(b"HTTP/1.1 200 OK\r\ncontent-"),
    "after the head": reset_after(STREAM_HEAD),
    "in the first event": reset_after(STREAM_HEAD, chunk(b'data: {"choi')),
    "in a plain answer": reset_after(head(content_type="application/json", content_length="100"), b'{"choices"'),
    "with an empty stream": raw(STREAM_HEAD, LAST_CHUNK),
    "with an empty stream and its connection": raw(UNSIZED_HEAD, close=True),
    "speaking no HTTP": raw(b"220 mail.example ESMTP\r\n", close=True),
}


async def test_a_dead_replica_is_left_for_another_before_the_first_byte(door: Door, engines: list[FakeEngine]) -> None:
    await engines[0].die()
    assert (await door.chat()).status == 200
    call = door.calls[-1]
    assert (call.attempts, call.replica) == (2, "m.1")


async def test_a_dead_replica_costs_one_request_its_way_only(door: Door, engines: list[FakeEngine]) -> None:
    """It is ejected: nobody else goes there."""
    await engines[0].die()
    for _ in range(4):
        assert (await door.chat()).status == 200
    assert [call.attempts for call in door.calls] == [2, 1, 1, 1]
    assert not (await door.replicas())["m.0"].routable


async def test_all_replicas_may_be_tried_while_none_is_reached(door: Door, engines: list[FakeEngine]) -> None:
    for engine in engines[:2]:
        await engine.die()
    assert (await door.chat()).status == 200
    assert (door.calls[-1].attempts, door.calls[-1].replica) == (3, "m.2")


async def test_when_all_are_dead_the_answer_names_them(door: Door, engines: list[FakeEngine]) -> None:
    for engine in engines:
        await engine.die()
    told = await door.chat()
    assert told.status == 503
    assert "retry-after" in told.headers
    assert all(f"m.{index} is unreachable" in error_of(told)["message"] for index in range(3))


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_a_replica_that_dies_of_a_request_is_left_for_another(
    door: Door, engines: list[FakeEngine], death: str, streamed: bool
) -> None:
    engines[0].plays.append(DEATHS[death])
    engines[1].plays.append(chat_stream("x") if streamed else answer())
    told = await door.chat(stream=streamed)
    assert told.status == 200
    assert (door.calls[-1].attempts, door.calls[-1].replica) == (2, "m.1")


@pytest.mark.parametrize("death", DEATHS)
async def test_a_request_that_kills_is_given_to_two_replicas_at_most(
    door: Door, engines: list[FakeEngine], death: str
) -> None:
    for engine in engines:
        engine.plays.append(DEATHS[death])
    told = await door.chat()
    assert told.status == 502
    assert error_of(told)["code"] == "engine_died"
    assert error_of(told)["message"].startswith("m.1: ")
    assert [len(engine.asked) for engine in engines] == [1, 1, 0]


async def test_a_request_that_one_replica_failed_is_not_lost_to_a_stale_connection_of_the_next() -> None:
    """It may go out once more only: not over a connection that its server is just closing, as llama.cpp does."""

    async def stale(stage: Stage) -> None:
        if stage.asked.connection == 1:
            stage.reset()
        else:
            await answer()(stage)

    async with FakeEngine(reset_after(), reset_after()) as first, FakeEngine(answer(), stale) as second, Door() as door:
        for index, engine in enumerate((first, second)):
            await door.join(engine, f"m.{index}", deployment=record(replicas=2))
        assert [(await door.chat()).status for _ in range(2)] == [200, 200]
        assert [(call.attempts, call.replica) for call in door.calls] == [(2, "m.1"), (2, "m.1")]
        assert [asked.connection for asked in second.asked] == [1, 2]


async def test_the_replica_that_just_failed_is_not_asked_again() -> None:
    async with FakeEngine(reset_after()) as engine, Door() as door:
        await door.join(engine)
        told = await door.chat()
        assert (told.status, len(engine.asked)) == (502, 1)
        assert (await door.chat()).status == 200, "but the next request may go there"


async def test_nothing_is_retried_after_the_first_event(door: Door, engines: list[FakeEngine]) -> None:
    engines[0].plays.append(reset_after(STREAM_HEAD, chunk(event(delta("Autumn"))), chunk(b'data: {"half'[:9])))
    events = await door.streamed()
    assert events[0] == delta("Autumn")
    assert events[1]["error"]["code"] == "engine_died"
    assert events[2] == DONE
    assert len(events) == 3
    assert [len(engine.asked) for engine in engines] == [1, 0, 0]
    assert "closed the connection" in door.calls[-1].error


async def test_an_engine_whose_stream_turns_into_nonsense_ends_it_with_an_error(
    door: Door, engines: list[FakeEngine]
) -> None:
    engines[0].plays.append(raw(STREAM_HEAD, chunk(event(delta("Autumn"))), b"nonsense\r\n", close=True))
    events = await door.streamed()
    assert [events[0], events[1]["error"]["code"], events[2]] == [delta("Autumn"), "engine_died", DONE]


async def test_a_large_plain_answer_that_breaks_off_is_never_taken_for_whole(
    door: Door, engines: list[FakeEngine]
) -> None:
    """It is too large to be held back: the client has its head already."""
    size = 4_000_000
    part = head(content_type="application/json", content_length=str(size)) + b"x" * (size // 2)
    engines[0].plays.append(raw(part, close=True))
    reader, _ = await door.ask()
    seen = await asyncio.wait_for(reader.read(), 5)
    assert seen.startswith(b"HTTP/1.1 200")
    assert f"content-length: {size}".encode() in seen
    assert len(seen) < size
    assert door.calls[-1].error


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_a_replica_that_takes_no_requests_now_is_left_for_another(
    door: Door, engines: list[FakeEngine], streamed: bool
) -> None:
    engines[0].plays.append(answer({"error": {"message": "Loading model"}}, 503))
    engines[1].plays.append(chat_stream("x") if streamed else answer())
    assert (await door.chat(stream=streamed)).status == 200
    assert (door.calls[-1].attempts, door.calls[-1].replica) == (2, "m.1")


async def test_503_of_two_replicas_is_a_503_that_says_when_to_come_again(door: Door, engines: list[FakeEngine]) -> None:
    for engine in engines:
        engine.plays.append(answer({"error": {"message": "Loading model"}}, 503))
    told = await door.chat()
    assert (told.status, told.headers["retry-after"]) == (503, "1")
    assert "Loading model" in error_of(told)["message"]
    assert [len(engine.asked) for engine in engines] == [1, 1, 0]


async def test_retries_end_when_their_budget_is_spent() -> None:
    """Were every replica to die of every request, the fleet would do nothing but die twice."""
    async with AsyncExitStack() as stack:
        door = await stack.enter_async_context(Door())
        for index in range(6):  # so many that none fails often enough to be ejected
            engine = await stack.enter_async_context(FakeEngine(*[reset_after()] * 100))
            await door.join(engine, f"m.{index}", deployment=record(replicas=6))
        for _ in range(RETRY_FLOOR + 5):
            assert (await door.chat()).status == 502
        assert [call.attempts for call in door.calls] == [2] * RETRY_FLOOR + [1] * 5


async def test_a_replica_is_served_again_once_it_answers_a_probe() -> None:
    async with FakeEngine() as engine, Door() as door:
        await door.join(engine, health="/up", deployment=record(limits={"queue": 5}))
        await engine.die()
        waiting = asyncio.create_task(door.chat())
        while not door.registry.replicas["m.0"].ejected:
            await door.again()  # a heartbeat does not bring it back
        await door.again()
        assert not (await door.replicas())["m.0"].routable
        await engine.start()
        assert (await waiting).status == 200
        assert [asked.target for asked in engine.asked] == ["/up", "/v1/chat/completions"]
        assert engine.asked[0].headers["authorization"] == engine.asked[1].headers["authorization"]


async def test_a_new_incarnation_is_served_at_once() -> None:
    async with FakeEngine() as engine, FakeEngine() as reborn, Door() as door:
        await door.join(engine, deployment=record(limits={"queue": 5}))
        await engine.die()
        waiting = asyncio.create_task(door.chat())
        while not door.registry.replicas["m.0"].ejected:
            await door.again()
        await door.again(epoch=2, address=reborn.address)
        assert (await waiting).status == 200
        assert [asked.target for asked in reborn.asked] == ["/v1/chat/completions"]


async def test_a_replica_that_dies_while_its_port_still_opens_is_one_failure(
    door: Door, engines: list[FakeEngine]
) -> None:
    """A process that is killed closes its connections one by one, its listener not always first."""
    for _ in engines:
        assert (await door.chat()).status == 200
    engines[0].plays.extend([reset_after(), reset_after()])  # on the kept connection, then on a new one
    assert (await door.chat()).status == 200
    assert [len(engine.asked) for engine in engines] == [3, 2, 1]
    assert door.calls[-1].attempts == 2
