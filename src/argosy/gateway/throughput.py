"""Tokens that each replica has generated lately. Owns the counts.

A stream's events count as they come, one token each, and are set right by its usage at its end. A plain answer's tokens
are known only at its end: they are spread over the time from its lease, so one that ran for longer than the window
counts with the part of it that lies inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from argosy.gateway.call import Call

WINDOW_SECONDS = 10  # whole seconds before the present one
_SLOTS = WINDOW_SECONDS + 2  # and the present one, and one that is being left


class _Ring:
    """Tokens of one replica by second; a slot belongs to the second that it was last written for."""

    __slots__ = ("seconds", "tokens")

    def __init__(self) -> None:
        self.seconds = [0] * _SLOTS
        self.tokens = [0.0] * _SLOTS

    def add(self, second: int, tokens: float) -> None:
        slot = second % _SLOTS
        if self.seconds[slot] == second:
            self.tokens[slot] += tokens
        elif self.seconds[slot] < second:
            self.seconds[slot], self.tokens[slot] = second, tokens

    def total(self, first: int, last: int) -> float:
        return sum(tokens for second, tokens in zip(self.seconds, self.tokens, strict=True) if first <= second <= last)


class Throughput:
    """`clock`: the one that times of calls are read from."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rings: dict[str, _Ring] = {}

    def streamed(self, replica: str, events: int) -> None:
        """On parts of a stream."""
        ring = self._rings.get(replica)
        if ring is None:
            ring = self._rings[replica] = _Ring()
        ring.add(int(self._clock()), events)

    def ended(self, calls: Sequence[Call]) -> None:
        """On the end of requests: one step for a short one, at most one for each second of the window."""
        for call in calls:
            self._count(call)

    def _count(self, call: Call) -> None:
        tokens, usage = call.untold_events, call.usage
        if usage is not None:
            tokens += usage.completion_tokens - call.events
        if not tokens or not call.leased_at:
            return
        ring = self._rings.get(call.replica)
        if ring is None:
            ring = self._rings[call.replica] = _Ring()
        end = call.ended_at
        first, last = int(call.leased_at), int(end)
        if call.events or first == last:
            ring.add(last, tokens)
            return
        rate = tokens / (end - call.leased_at)
        for second in range(max(first, last - WINDOW_SECONDS), last + 1):
            ring.add(second, rate * (min(end, second + 1) - max(call.leased_at, second)))

    def rates(self) -> dict[str, float]:
        """Replica id → tokens per second over the window; those that generated nothing are left out and forgotten."""
        present = int(self._clock())
        totals = {replica: ring.total(present - WINDOW_SECONDS, present - 1) for replica, ring in self._rings.items()}
        self._rings = {
            replica: ring for replica, ring in self._rings.items() if totals[replica] or present in ring.seconds
        }
        # What an end sets right may lie in the window while what it is about lies before it.
        return {replica: total / WINDOW_SECONDS for replica, total in totals.items() if total > 0}
