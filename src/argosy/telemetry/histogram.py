"""Counts of values by size, for hot paths: an observation is one bisect and two additions. Knows no exporter."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate


class Histogram:
    """`bounds`: upper bounds of its buckets, each inclusive, rising; larger values have a bucket of their own."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[str, int]]:
        """(bound, how many values were at most that), to ("+Inf", all): as Prometheus wants its buckets."""
        names = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        return list(zip(names, accumulate(self.counts), strict=True))
