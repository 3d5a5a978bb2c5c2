from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest

from argosy.dispatch.line import Waiter, WaitingLine
from fakes import FakeAsked


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def joined(line: WaitingLine, loop: asyncio.AbstractEventLoop, principals: str) -> list[Waiter]:
    waiters = [Waiter(loop.create_future(), FakeAsked(), (), principal) for principal in principals]
    for waiter in waiters:
        line.join(waiter)
    return waiters


def order(line: WaitingLine) -> str:
    return "".join(waiter.principal for waiter in line)


def test_principals_take_turns_and_each_ones_requests_keep_their_order(loop: asyncio.AbstractEventLoop) -> None:
    line = WaitingLine()
    waiters = joined(line, loop, "aaabcb")
    assert order(line) == "abcaba"
    assert [waiter for waiter in line if waiter.principal == "a"] == waiters[:3]
    assert [line.place(waiter) for waiter in waiters] == [1, 4, 6, 2, 3, 5]


def test_who_was_served_lets_the_others_go_first(loop: asyncio.AbstractEventLoop) -> None:
    line = WaitingLine()
    first, *_ = joined(line, loop, "aab")
    line.serve(first)
    assert order(line) == "ba"
    joined(line, loop, "b")
    assert order(line) == "bab"


def test_who_leaves_leaves_nothing(loop: asyncio.AbstractEventLoop) -> None:
    line = WaitingLine()
    waiters = joined(line, loop, "aba")
    for waiter in waiters:
        line.leave(waiter)
        line.leave(waiter)
    assert (len(line), order(line)) == (0, "")
    assert line.place(waiters[0]) == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_place_is_how_many_are_served_until_then(loop: asyncio.AbstractEventLoop, seed: int) -> None:
    draw = random.Random(seed)
    line = WaitingLine()
    waiters = joined(line, loop, "".join(draw.choices("abcd", k=12)))
    for waiter in draw.sample(waiters, 3):
        line.leave(waiter)
    for _ in range(2):
        line.serve(next(iter(line)))
    for place, waiter in enumerate(line, 1):
        assert line.place(waiter) == place
    expected = list(line)
    served = []
    while line:
        served.append(next(iter(line)))
        line.serve(served[-1])
    assert served == expected
