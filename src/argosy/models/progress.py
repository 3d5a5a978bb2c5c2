"""How far a download is: a value that prints as a phrase, and the meter that makes such values."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_MB = 1_000_000  # as vendors and package indexes count
_LEAST_SECONDS = 1.0  # before that a speed is a guess
_WINDOW_SECONDS = 8.0


@dataclass(frozen=True)
class Progress:
    """`str(progress)` → "downloading smollm2: 34 of 98 MB, 12 MB/s, 5 s left"."""

    name: str
    done_bytes: int
    total_bytes: int | None
    waiting: bool = False  # another process downloads it; this one waits for that
    bytes_per_second: float | None = None
    note: str = ""  # why it comes from where it comes from

    def __str__(self) -> str:
        verb = "waiting for another process that downloads" if self.waiting else "downloading"
        done = f"{self.done_bytes // _MB}"
        if self.total_bytes is not None:
            done = f"{done} of {round(self.total_bytes / _MB)}"
        parts = [f"{verb} {self.name}: {done} MB"]
        if self.bytes_per_second:
            parts.append(f"{self.bytes_per_second / _MB:.{0 if self.bytes_per_second >= 10 * _MB else 1}f} MB/s")
        if (left := self.seconds_left) is not None:
            parts.append(f"{_span(left)} left")
        return f"{', '.join(parts)}{f' ({self.note})' if self.note else ''}"

    @property
    def seconds_left(self) -> float | None:
        if not self.bytes_per_second or self.total_bytes is None:
            return None
        return max(0, self.total_bytes - self.done_bytes) / self.bytes_per_second


class Meter:
    """One attempt to fetch one thing: knows how quick the last seconds were."""

    def __init__(self, name: str, *, note: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._note = note
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()
        self._done = 0

    def at(self, done_bytes: int, total_bytes: int | None) -> Progress:
        """What is there grows: files that are moved while they are counted do not turn it back."""
        self._done = max(self._done, done_bytes)
        if total_bytes is not None:
            self._done = min(self._done, total_bytes)
        now = self._clock()
        self._seen.append((now, self._done))
        while now - self._seen[0][0] > _WINDOW_SECONDS:
            self._seen.popleft()
        began, at_first = self._seen[0]
        speed = (self._done - at_first) / (now - began) if now - began >= _LEAST_SECONDS else None
        return Progress(self._name, self._done, total_bytes, bytes_per_second=speed, note=self._note)


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
