"""How many battles and votes one client key, and one address, may have in a minute. Counts are this gateway's own."""

from __future__ import annotations

import math
from collections.abc import Callable

from argosy.errors import LimitedError
from argosy.gateway.limits import Bucket
from argosy.gateway.turn import duration

MOST_KNOWN = 10_000


class Rates:
    """Of one kind of request, `what`. `clock`: monotonic seconds."""

    def __init__(self, what: str, per_minute: int, clock: Callable[[], float]) -> None:
        self._what = what
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: dict[tuple[str, str], Bucket] = {}  # the one that was used longest ago first

    def take(self, key: str, address: str) -> None:
        """Raises LimitedError; then nothing is taken of either."""
        now = self._clock()
        buckets = [(kind, name, self._bucket((kind, name), now)) for kind, name in (("key", key), ("address", address))]
        for kind, name, bucket in buckets:
            if (seconds := bucket.seconds_until(1.0, now)) > 0:
                raise LimitedError(
                    f"Rate limit reached for the {kind} '{name}' on {self._what} per minute: limit {self._per_minute}."
                    f" Please try again in {duration(seconds)}.",
                    kind="requests",
                    retry_after=math.ceil(seconds),
                )
        for _, _, bucket in buckets:
            bucket.take(1.0, now)

    def _bucket(self, who: tuple[str, str], now: float) -> Bucket:
        bucket = self._buckets.pop(who, None) or Bucket(self._per_minute, now)
        self._buckets[who] = bucket
        if len(self._buckets) > MOST_KNOWN:
            del self._buckets[next(iter(self._buckets))]
        return bucket
