"""Requests that have ended, handed on in batches to those who count them.

One after the other each count runs through code that the processor has just used, which costs a fraction of running it
once between two requests. Who reads a count settles first.
"""

from __future__ import annotations

from collections.abc import Callable

from argosy.gateway.call import Call, OnEnd


class Ledger:
    """`ended` takes a request that is over; `readers` get every one once, in order, when it is settled."""

    def __init__(self, *readers: OnEnd) -> None:
        self._readers = readers
        self._pending: list[Call] = []
        self.ended: Callable[[Call], None] = self._pending.append

    def settle(self) -> None:
        calls = self._pending.copy()
        self._pending.clear()
        for reader in self._readers:
            for call in calls:
                reader(call)
