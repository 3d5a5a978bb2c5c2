"""Tells a fleet's changes while they happen: a line each; in a terminal, progress is drawn in place."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TextIO

from argosy.cli.render import event_line
from argosy.protocol.admin import Event

_PLAIN_PROGRESS_SECONDS = 5.0  # between two lines of the same progress, where nothing can be drawn in place


class ProgressLines:
    """An event with the state of the one before and another reason is progress: `downloading smollm2: 34 of 98 MB`."""

    def __init__(self, out: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._in_place = out.isatty()
        self._states: dict[str, str] = {}
        self._progress: dict[str, str] = {}
        self._told_at: dict[str, float] = {}
        self._drawn = False

    def event(self, event: Event) -> None:
        again = self._states.get(event.name) == event.state and event.state in ("pending", "starting")
        self._states[event.name] = event.state
        if not again:
            self._progress.pop(event.name, None)
            self._told_at.pop(event.name, None)
            if event.state != "pending" or event.reason:
                self.line(event_line(event))
        elif self._in_place:
            self._progress[event.name] = f"{event.name}: {event.reason}" if event.reason else ""
            self._draw()
        elif event.reason and self._clock() - self._told_at.get(event.name, float("-inf")) >= _PLAIN_PROGRESS_SECONDS:
            self._told_at[event.name] = self._clock()
            self.line(event_line(event))

    def line(self, text: str) -> None:
        self._erase()
        print(text, file=self._out, flush=True)
        self._draw()

    def close(self) -> None:
        self._erase()
        self._progress.clear()

    def _draw(self) -> None:
        if self._in_place and (parts := [text for text in self._progress.values() if text]):
            columns = shutil.get_terminal_size().columns
            self._erase()
            print("  ".join(parts)[: columns - 1], end="", file=self._out, flush=True)
            self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            self._drawn = False
            print("\r\x1b[K", end="", file=self._out, flush=True)
