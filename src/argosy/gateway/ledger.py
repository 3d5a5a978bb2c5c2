"""Requests that have ended, handed on in batches to those who count them.

One after the other each count runs through code that the processor has just used, which costs a fraction of running it
once between two requests; and few enough that what it reads is still at hand too. Who reads a count settles first.
"""

from __future__ import annotations

import asyncio

from argosy.gateway.call import Call, OnEnds

LONGEST_WAIT_SECONDS = 0.2


class Ledger:
    """`readers` get every request that has `ended` once, in order, when a batch is full or has waited long enough."""

    def __init__(self, loop: asyncio.AbstractEventLoop, readers: list[OnEnds], *, batch: int) -> None:
        self._loop = loop
        self._readers = readers
        self._batch = batch
        self._pending: list[Call] = []
        self._timer: asyncio.TimerHandle | None = None

    def ended(self, call: Call) -> None:
        """On every request's end."""
        pending = self._pending
        pending.append(call)
        if len(pending) >= self._batch:
            self.settle()
        elif self._timer is None:
            self._timer = self._loop.call_later(LONGEST_WAIT_SECONDS, self._time_is_over)

    def settle(self) -> None:
        calls, self._pending = self._pending, []
        if calls:
            for reader in self._readers:
                reader(calls)

    def _time_is_over(self) -> None:
        self._timer = None
        self.settle()
