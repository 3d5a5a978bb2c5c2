"""The line of requests that wait for a replica of one deployment: first come, first served for each principal, and the
principals in turn, so that nobody's many requests hold up another's few. Pure; who is granted what is dispatcher.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from argosy.dispatch.prefixes import Asked
from argosy.registry.records import Replica

if TYPE_CHECKING:
    from argosy.dispatch.dispatcher import Lease

Tried = Collection[tuple[Replica, int]]  # replicas, with their epoch, that must not be chosen again


class Waiter:
    """One waiting request; `granted` gets its lease, or why it waits in vain."""

    __slots__ = ("asked", "granted", "principal", "tried")

    def __init__(self, granted: asyncio.Future[Lease], asked: Asked, tried: Tried, principal: str) -> None:
        self.asked = asked
        self.granted = granted
        self.tried = tried
        self.principal = principal


class WaitingLine:
    """Iterates in the order in which slots are granted, if nobody comes or goes."""

    def __init__(self) -> None:
        # Dicts as sets that keep their order: whoever leaves costs nothing more. The next principal's turn is first.
        self._waiters: dict[str, dict[Waiter, None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiters.values()))

    def __iter__(self) -> Iterator[Waiter]:
        rounds = [iter(list(waiters)) for waiters in self._waiters.values()]
        while rounds:
            present, rounds = rounds, []
            for waiters in present:
                if (waiter := next(waiters, None)) is not None:
                    yield waiter
                    rounds.append(waiters)

    def join(self, waiter: Waiter) -> None:
        self._waiters.setdefault(waiter.principal, {})[waiter] = None

    def leave(self, waiter: Waiter) -> None:
        """It waits no more; nothing for one that has left already."""
        waiters = self._waiters.get(waiter.principal)
        if waiters is not None and waiters.pop(waiter, waiter) is None and not waiters:
            del self._waiters[waiter.principal]

    def serve(self, waiter: Waiter) -> None:
        """It leaves with a grant: the others' principals come before the next of its own."""
        self.leave(waiter)
        if (waiters := self._waiters.pop(waiter.principal, None)) is not None:
            self._waiters[waiter.principal] = waiters

    def place(self, waiter: Waiter) -> int:
        """1: the next; also for one that has just been served."""
        beside = self._waiters.get(waiter.principal, {})
        if waiter not in beside:
            return 1
        own = list(beside).index(waiter)
        ahead, before = own, True
        for principal, waiters in self._waiters.items():
            if principal == waiter.principal:
                before = False
            else:
                ahead += min(len(waiters), own + before)
        return ahead + 1
