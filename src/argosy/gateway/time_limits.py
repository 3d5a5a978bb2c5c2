"""The time limits of requests that engines have: total, and for streams first_token, then idle.

One timer looks at all of them: a timer for each request would cost more than the rest of its bookkeeping. A limit may
so be noticed LOOK_SECONDS late, which nobody who waits for seconds will mind.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import msgspec

from argosy.errors import UpstreamTimeoutError
from argosy.protocol.deployment import Timeouts
from argosy.wire.connection import Exchange

LOOK_SECONDS = 0.1
REQUEST_TIMEOUT = "x-request-timeout"  # the header by which a client lowers them
CLIENT_TOO_SLOW = "the client did not read its answer in time"  # the message of a request's CancelledError


class Cancellable(Protocol):
    def cancel(self, msg: str | None = None) -> bool: ...


class TimeLimits(msgspec.Struct, eq=False):
    """Of one attempt. Times are monotonic seconds, as an exchange has them."""

    keeper: TimeKeeper
    timeouts: Timeouts
    replica: str
    stream: bool
    deadline: float  # when the client's own limit runs out
    began_at: float
    exchange: Exchange | None = None
    answering: bool = False  # the client's head has gone out
    task: Cancellable | None = None

    def watch(self, exchange: Exchange) -> None:
        """From here to `stop`, this exchange is failed when a limit runs out."""
        self.exchange = exchange
        keeper = self.keeper
        keeper.running.add(self)
        if keeper.asleep:
            keeper.look_later()

    def answer_begins(self, task: Cancellable | None) -> None:
        """The client's head goes out: idle counts now, and from here on the client may hold us up.

        `task`: the request's, which is cancelled should it wait for the client when its time is over.
        """
        self.answering = True
        self.task = task

    def too_slow(self) -> UpstreamTimeoutError:
        """What a client hears that has not read its answer in time."""
        seconds, name = self._total
        return UpstreamTimeoutError(f"the answer was not read within {seconds:.3g} s ({name})", code="total_timeout")

    def stop(self) -> None:
        self.keeper.running.discard(self)

    def look(self, now: float) -> None:
        """Fails the exchange if its time is over."""
        exchange, timeouts = self.exchange, self.timeouts
        assert exchange is not None
        seconds, name = self._total
        if now >= self.began_at + seconds:
            held_up = not exchange.waiting
            self._fail(exchange, "total", seconds, "has not finished its answer", name)
            if self.task is not None and held_up:
                task, self.task = self.task, None  # once
                task.cancel(CLIENT_TOO_SLOW)
        elif not self.stream:
            return
        elif not self.answering:
            if now >= self.began_at + timeouts.first_token:
                self._fail(exchange, "first_token", timeouts.first_token, "has sent no event")
        # While a slow client holds us up, the silence is not the engine's.
        elif exchange.waiting and now - exchange.active_at >= timeouts.idle:
            self._fail(exchange, "idle", timeouts.idle, "has sent nothing more")

    @property
    def _total(self) -> tuple[float, str]:
        """Seconds for all of it, and whose limit that is."""
        own = max(0.0, self.deadline - self.began_at)
        return (own, REQUEST_TIMEOUT) if own < self.timeouts.total else (self.timeouts.total, "timeouts.total")

    def _fail(self, exchange: Exchange, limit: str, seconds: float, what: str, name: str = "") -> None:
        message = f"{self.replica} {what} within {seconds:.4g} s ({name or f'timeouts.{limit}'})"
        exchange.fail(UpstreamTimeoutError(message, code=f"{limit}_timeout"))


class TimeKeeper:
    """Looks at all limits that run (they enter and leave themselves: one step less on every request); sleeps while none
    does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.running: set[TimeLimits] = set()
        self.asleep = True

    def look_later(self) -> None:
        self.asleep = False
        self._loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        now = time.monotonic()
        for limits in list(self.running):
            limits.look(now)
        if self.running:
            self.look_later()
        else:
            self.asleep = True
