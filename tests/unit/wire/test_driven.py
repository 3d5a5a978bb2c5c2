from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from argosy.wire.driven import Driven, Signal


class Told:
    """What a driven coroutine came to: its owner."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.ends: list[BaseException | None] = []
        self.ended = asyncio.Event()

    def over(self, failure: BaseException | None) -> None:
        self.ends.append(failure)
        self.ended.set()

    def drive(self, coroutine: Coroutine[Any, Any, None]) -> Driven:
        driven = Driven(coroutine, self)
        driven.go_on()
        return driven


async def test_a_driven_coroutine_goes_on_before_its_signal_returns() -> None:
    told, signal = Told(), Signal(asyncio.get_running_loop())

    async def waits() -> None:
        for step in ("one", "two"):
            await signal
            told.steps.append(step)

    told.drive(waits())
    assert signal.awaited
    signal.fire()
    assert (told.steps, told.ends) == (["one"], [])
    signal.fire()
    assert (told.steps, told.ends) == (["one", "two"], [None])
    signal.fire()
    assert not signal.awaited


async def test_it_can_await_futures_and_tasks_as_well() -> None:
    told, loop = Told(), asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()

    async def limited() -> str:
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
            return "two"

    async def waits() -> None:
        told.steps.append(await future)
        told.steps.append(await loop.create_task(limited()))

    told.drive(waits())
    future.set_result("one")
    await told.ended.wait()
    assert told.ends == [None]
    assert told.steps == ["one", "two"]


async def test_what_it_raises_is_told_at_its_end() -> None:
    told = Told()

    async def fails() -> None:
        raise ValueError("ours")

    told.drive(fails())
    assert [str(each) for each in told.ends] == ["ours"]


def on_signal(signal: Signal, future: asyncio.Future[None]) -> Signal:
    return signal


def on_future(signal: Signal, future: asyncio.Future[None]) -> asyncio.Future[None]:
    return future


@pytest.mark.parametrize("what", [on_signal, on_future])
async def test_cancelling_raises_where_it_waits_with_the_reason(what: Callable[..., Any]) -> None:
    told, loop = Told(), asyncio.get_running_loop()

    async def waits() -> None:
        await what(Signal(loop), loop.create_future())

    driven = told.drive(waits())
    assert driven.cancel("why")
    await told.ended.wait()
    error = told.ends[0]
    assert isinstance(error, asyncio.CancelledError)
    assert error.args == ("why",)
    assert not driven.cancel("again")


async def test_it_may_wait_for_more_after_it_was_cancelled() -> None:
    told, loop = Told(), asyncio.get_running_loop()
    signal, last = Signal(loop), Signal(loop)

    async def waits() -> None:
        try:
            await signal
        finally:
            await last
            told.steps.append("last words")

    driven = told.drive(waits())
    driven.cancel("why")
    assert told.ends == []
    last.fire()
    assert told.steps == ["last words"]
    assert [type(each) for each in told.ends] == [asyncio.CancelledError]


async def test_one_that_is_cancelled_while_it_runs_hears_of_it_at_its_next_wait() -> None:
    told, signal = Told(), Signal(asyncio.get_running_loop())

    async def waits() -> None:
        driven.cancel("why")
        told.steps.append("goes on")
        await signal

    driven = Driven(waits(), told)
    driven.go_on()
    assert told.steps == ["goes on"]
    assert [type(each) for each in told.ends] == [asyncio.CancelledError]


async def test_a_task_can_await_a_signal_and_be_cancelled_there() -> None:
    signal = Signal(asyncio.get_running_loop())

    async def waits() -> str:
        await signal
        return "came"

    first = asyncio.create_task(waits())
    await asyncio.sleep(0)
    signal.fire()
    assert not first.done(), "a task goes on in a turn of its own"
    assert await first == "came"
    second = asyncio.create_task(waits())
    await asyncio.sleep(0)
    second.cancel("why")
    with pytest.raises(asyncio.CancelledError, match="why"):
        await second
    assert not signal.awaited
