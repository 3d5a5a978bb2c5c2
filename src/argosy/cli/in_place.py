"""Progress of one thing in a terminal: a line that is drawn over, or where that cannot be, a line now and then."""

from __future__ import annotations

import shutil
import sys
import time

_PLAIN_SECONDS = 5.0  # between two lines, where nothing can be drawn in place


class InPlace:
    """Call it with what can be told as text; `clear` goes in front of what stays."""

    def __init__(self) -> None:
        self._in_place = sys.stdout.isatty()
        self.clear = "\r\x1b[K" if self._in_place else ""
        self._told = time.monotonic()

    def __call__(self, progress: object) -> None:
        if self._in_place:
            print(f"{self.clear}{str(progress)[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
        elif time.monotonic() - self._told >= _PLAIN_SECONDS:
            self._told = time.monotonic()
            print(progress, flush=True)
