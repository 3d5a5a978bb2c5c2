"""When to start something again that died or found no room: back-off, and giving up. Pure: time is passed in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 30.0
WINDOW_SECONDS = 600.0
STARTS_IN_WINDOW = 5
ROOM_DELAY_SECONDS = 2.0


@dataclass
class RestartHistory:
    """Starts of one thing. It is given up after 5 starts within 10 minutes; until then it waits 1, 2, 4 … 30 s."""

    starts: deque[float] = field(default_factory=deque)
    crowded_since: float | None = None  # the first of the latest starts that found no room

    def started(self, now: float) -> None:
        self.starts.append(now)

    def next_delay(self, now: float) -> float | None:
        """Seconds to wait before the next start, or None: give up."""
        self.crowded_since = None
        return self._counted_delay(now)

    def delay_without_room(self, now: float, patience_seconds: float) -> float | None:
        """The same where there was only no room: for so long that is no failed start, as what drains makes room."""
        if self.crowded_since is None:
            self.crowded_since = now
        if now - self.crowded_since >= patience_seconds:
            return self._counted_delay(now)
        self.starts.pop()
        return ROOM_DELAY_SECONDS

    def _counted_delay(self, now: float) -> float | None:
        while self.starts and now - self.starts[0] > WINDOW_SECONDS:
            self.starts.popleft()
        if len(self.starts) >= STARTS_IN_WINDOW:
            return None
        return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** max(0, len(self.starts) - 1))

    def forget(self) -> None:
        """It was asked for anew: start counting again."""
        self.starts.clear()
