"""How many requests may be sent a second time. Owns the counts of the last seconds."""

from __future__ import annotations

from collections.abc import Callable

RETRY_SHARE = 0.2
RETRY_FLOOR = 10  # retries that are always allowed: a share of few requests would be none
WINDOW_SECONDS = 5.0


class RetryBudget:
    """Under 20% of the requests of the last 5 to 10 s, or 10 where those are few. `clock`: monotonic seconds.

    Counted by windows of 5 s, of which the present one and the one before count: a window that has just begun must not
    have forgotten the traffic of which a replica now dies.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends_at = clock() + WINDOW_SECONDS
        self._requests = self._requests_before = 0
        self._retries = self._retries_before = 0

    def count_request(self, now: float) -> None:
        if now >= self._ends_at:
            self._turn_window(now)
        self._requests += 1

    def take(self) -> bool:
        """One retry, if there is one left."""
        now = self._clock()
        if now >= self._ends_at:
            self._turn_window(now)
        requests = self._requests + self._requests_before
        if self._retries + self._retries_before >= max(RETRY_FLOOR, RETRY_SHARE * requests):
            return False
        self._retries += 1
        return True

    def _turn_window(self, now: float) -> None:
        recent = now < self._ends_at + WINDOW_SECONDS
        self._requests_before = self._requests if recent else 0
        self._retries_before = self._retries if recent else 0
        self._requests = self._retries = 0
        self._ends_at = now + WINDOW_SECONDS
