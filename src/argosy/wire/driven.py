"""A coroutine without a task: it goes on in the very call that tells what it waited for.

A task is scheduled: it starts a turn of the event loop after it was made, and goes on a turn after its future is done.
For a request that comes and is answered in one piece, that is most of what asyncio costs. In exchange a coroutine that
is driven must not use what asks for the current task (asyncio.timeout, TaskGroup), nor pass a turn by sleep(0): that
belongs in a task, which it can await.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, Protocol

Message = tuple[()] | tuple[str]  # the arguments of a CancelledError


class Signal:
    """Something that may happen again and again, awaited by one at a time: a driven coroutine, or a task.

    It keeps no memory: who awaits looks first whether there is still something to wait for. To a task it is a future
    (https://docs.python.org/3/library/asyncio-extending.html).
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_loop", "driven")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.driven: Driven | None = None  # who awaits it, where that is no task
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._cancelled: Message | None = None
        self._asyncio_future_blocking = False

    @property
    def awaited(self) -> bool:
        return self.driven is not None or self._callback is not None

    def fire(self) -> None:
        """Whoever awaits it goes on: a driven coroutine before this returns."""
        driven = self.driven
        if driven is not None:
            self.driven = None
            driven.go_on()
        elif (callback := self._callback) is not None:
            self._callback = None
            self._loop.call_soon(callback, self, context=self._context)

    def __await__(self) -> Generator[Signal, None, None]:
        self._asyncio_future_blocking = True
        yield self
        if self._cancelled is not None:
            message, self._cancelled = self._cancelled, None
            raise asyncio.CancelledError(*message)

    # as a future, to a task

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context | None = None) -> None:
        self._callback = callback
        self._context = context

    def result(self) -> None:
        return None

    def cancel(self, msg: str | None = None) -> bool:
        if not self.awaited:
            return False
        self._cancelled = () if msg is None else (msg,)
        self.fire()
        return True


class Owner(Protocol):
    def over(self, failure: BaseException | None) -> object:
        """The coroutine has come to its end, by what it raised where it raised something."""
        ...


class Driven:
    """Runs a coroutine for its owner, who hears of its end; `cancel` is as a task's."""

    __slots__ = ("_cancelled", "_coroutine", "_owner", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, None], owner: Owner) -> None:
        self._coroutine: Coroutine[Any, Any, None] | None = coroutine
        self._owner: Owner | None = owner
        self._waits_for: Any = None  # a Signal or a future; None: it runs, or has not begun, or is over
        self._cancelled: Message | None = None

    def go_on(self, _: object = None) -> None:
        """Runs it to its next wait, or to its end."""
        coroutine = self._coroutine
        assert coroutine is not None
        self._waits_for = None
        try:
            waits_for = coroutine.send(None)
        except StopIteration:
            self._end(None)
            return
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  whose coroutine it is hears of it
            self._end(error)
            return
        self._waits_for = waits_for
        if waits_for.__class__ is Signal:
            waits_for.driven = self
        else:
            waits_for._asyncio_future_blocking = False
            waits_for.add_done_callback(self.go_on)
        if self._cancelled is not None:
            message, self._cancelled = self._cancelled, None
            self.cancel(*message)

    def cancel(self, msg: str | None = None) -> bool:
        """Has it raise a CancelledError where it waits, now or at its next wait; False when it is over."""
        if self._coroutine is None:
            return False
        if self._waits_for is None or not self._waits_for.cancel(msg):
            self._cancelled = () if msg is None else (msg,)
        return True

    def _end(self, error: BaseException | None) -> None:
        owner = self._owner
        self._coroutine = self._owner = None  # the owner may know us: no cycle may be left for the collector
        assert owner is not None
        owner.over(error)
