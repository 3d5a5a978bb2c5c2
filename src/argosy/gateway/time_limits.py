"""The time limits of requests that engines have: total, and for streams first_token, then idle.

One timer looks at all of them: a timer for each request would cost more than the rest of its bookkeeping. A limit may
so be noticed LOOK_SECONDS late, which nobody who waits for seconds will mind.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from argosy.errors import UpstreamTimeoutError
from argosy.protocol.deployment import Timeouts
from argosy.wire.connection import Exchange

LOOK_SECONDS = 0.1
REQUEST_TIMEOUT = "x-request-timeout"  # the header by which a client lowers them
CLIENT_TOO_SLOW = "the client did not read its answer in time"  # the message of a request's CancelledError


class TimeLimits:
    """Of one attempt. Times are monotonic seconds, as an exchange has them."""

    __slots__ = (
        "_cancel",
        "_exchange",
        "_first_until",
        "_keeper",
        "_replica",
        "_stream",
        "_timeouts",
        "_total",
        "_total_name",
        "_total_until",
    )

    def __init__(
        self, keeper: TimeKeeper, timeouts: Timeouts, replica: str, *, stream: bool, deadline: float = math.inf
    ) -> None:
        """`deadline`: when the client's own limit runs out."""
        now = time.monotonic()
        self._keeper = keeper
        self._timeouts = timeouts
        self._replica = replica
        self._stream = stream
        self._exchange: Exchange | None = None
        self._cancel: Callable[[str], object] | None = None
        self._total, self._total_name = timeouts.total, "timeouts.total"
        self._total_until = now + timeouts.total
        if deadline < self._total_until:
            self._total, self._total_name = max(0.0, deadline - now), REQUEST_TIMEOUT
            self._total_until = deadline
        self._first_until = now + timeouts.first_token if stream else 0.0

    def watch(self, exchange: Exchange) -> None:
        """From here to `stop`, this exchange is failed when a limit runs out."""
        self._exchange = exchange
        keeper = self._keeper
        keeper.running.add(self)
        if keeper.asleep:
            keeper.look_later()

    def answer_begins(self, cancel: Callable[[str], object]) -> None:
        """The client's head goes out: idle counts now, and from here on the client may hold us up.

        `cancel` ends the request's coroutine, with a message, should it wait for the client when its time is over.
        """
        self._first_until = 0.0
        self._cancel = cancel

    def too_slow(self) -> UpstreamTimeoutError:
        """What a client hears that has not read its answer in time."""
        return UpstreamTimeoutError(
            f"the answer was not read within {self._total:.3g} s ({self._total_name})", code="total_timeout"
        )

    def stop(self) -> None:
        self._keeper.running.discard(self)

    def look(self, now: float) -> None:
        """Fails the exchange if its time is over."""
        exchange = self._exchange
        assert exchange is not None
        if now >= self._total_until:
            held_up = not exchange.waiting
            self._total_until = math.inf
            self._fail(exchange, "total", self._total, "has not finished its answer", self._total_name)
            if self._cancel is not None and held_up:
                self._cancel(CLIENT_TOO_SLOW)
        elif self._first_until:
            if now >= self._first_until:
                self._fail(exchange, "first_token", self._timeouts.first_token, "has sent no event")
        # While a slow client holds us up, the silence is not the engine's.
        elif self._stream and exchange.waiting and now - exchange.active_at >= self._timeouts.idle:
            self._fail(exchange, "idle", self._timeouts.idle, "has sent nothing more")

    def _fail(self, exchange: Exchange, limit: str, seconds: float, what: str, name: str = "") -> None:
        message = f"{self._replica} {what} within {seconds:.4g} s ({name or f'timeouts.{limit}'})"
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
