"""When to start something again that died: back-off that doubles, and giving up. Pure: time is passed in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 30.0
WINDOW_SECONDS = 600.0
STARTS_IN_WINDOW = 5


@dataclass
class RestartHistory:
    """Starts of one thing. It is given up after 5 starts within 10 minutes; until then it waits 1, 2, 4 … 30 s."""

    starts: deque[float] = field(default_factory=deque)

    def started(self, now: float) -> None:
        self.starts.append(now)

    def next_delay(self, now: float) -> float | None:
        """Seconds to wait before the next start, or None: give up."""
        while self.starts and now - self.starts[0] > WINDOW_SECONDS:
            self.starts.popleft()
        if len(self.starts) >= STARTS_IN_WINDOW:
            return None
        return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** max(0, len(self.starts) - 1))

    def forget(self) -> None:
        """It was asked for anew: start counting again."""
        self.starts.clear()
