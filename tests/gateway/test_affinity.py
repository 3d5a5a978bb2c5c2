"""Which replica a conversation gets: the one that had its last turn, also where nobody says that it is one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from door import Door, record

from engines import FakeEngine, held

WORDS = ("sail", "harbour", "wind", "cargo", "anchor", "mast", "tide", "rope")


def words(draw: random.Random, count: int) -> str:
    return " ".join(draw.choices(WORDS, k=count))


@pytest.fixture
async def engines() -> AsyncIterator[list[FakeEngine]]:
    async with FakeEngine() as a, FakeEngine() as b, FakeEngine() as c:
        yield [a, b, c]


@pytest.fixture
async def door(engines: list[FakeEngine]) -> AsyncIterator[Door]:
    """Three replicas under the policy that remembers."""
    async with Door() as opened:
        for index, engine in enumerate(engines):
            await opened.join(engine, f"m.{index}", deployment=record(replicas=3, policy="affinity"))
        yield opened


async def test_every_conversation_stays_with_one_replica(door: Door) -> None:
    draw = random.Random(1)
    talks = [[{"role": "system", "content": words(draw, 500)}] for _ in range(9)]
    replicas = [set[str]() for _ in talks]
    for _ in range(4):
        for talk, seen in zip(talks, replicas, strict=True):
            talk.append({"role": "user", "content": words(draw, 10)})
            assert (await door.request("POST", "/v1/chat/completions", {"model": "m", "messages": talk})).status == 200
            seen.add(door.calls[-1].replica)
            talk.append({"role": "assistant", "content": words(draw, 60)})
        draw.shuffle(both := list(zip(talks, replicas, strict=True)))
        talks, replicas = [talk for talk, _ in both], [seen for _, seen in both]
    assert [len(seen) for seen in replicas] == [1] * 9
    assert sorted(len([1 for seen in replicas if replica in seen]) for replica in ("m.0", "m.1", "m.2")) == [3, 3, 3]


async def test_one_session_stays_with_one_replica_whatever_it_asks(door: Door) -> None:
    """Three at a time, so that it is not by being idle that the same one comes again."""
    seen = {session: set[str]() for session in ("a", "b", "c")}
    for _ in range(5):
        for session in random.Random(2).sample(sorted(seen), 3):
            await door.chat(headers={"x-session-id": session}, temperature=random.random())
            seen[session].add(door.calls[-1].replica)
    assert sorted(map(len, seen.values())) == [1, 1, 1]
    assert set.union(*seen.values()) == {"m.0", "m.1", "m.2"}


async def test_what_everybody_sends_is_soon_everywhere(door: Door, engines: list[FakeEngine]) -> None:
    draw = random.Random(3)
    system = {"role": "system", "content": words(draw, 1000)}
    gate = asyncio.Event()
    for engine in engines:
        engine.plays.extend([held(gate)] * 100)
    body = {"model": "m", "messages": [system, {"role": "user", "content": "?"}]}
    asking = [asyncio.create_task(door.request("POST", "/v1/chat/completions", body)) for _ in range(30)]
    async with asyncio.timeout(5):
        while sum(len(engine.asked) for engine in engines) < 30:
            await door.again()
    assert [len(engine.asked) for engine in engines] == [10, 10, 10]
    gate.set()
    assert [(await each).status for each in asking] == [200] * 30


async def test_a_replica_that_comes_back_without_its_cache_is_one_like_others(
    door: Door, engines: list[FakeEngine]
) -> None:
    talk = [{"role": "system", "content": words(random.Random(4), 500)}, {"role": "user", "content": "?"}]
    body = {"model": "m", "messages": talk}
    await door.request("POST", "/v1/chat/completions", body)
    knows = door.calls[-1].replica
    await door.request("POST", "/v1/chat/completions", body)
    assert door.calls[-1].replica == knows
    await door.again(knows, epoch=2)
    await door.request("POST", "/v1/chat/completions", body)
    assert door.calls[-1].replica != knows
