"""Shows an answer while it comes: as plain text, piece by piece, or as Markdown, drawn again where it may still change.

A painter is for one answer: `show` after every event, `end` when it is over, whatever ended it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Protocol, TextIO

from argosy.chat.answer import Answer

_DRAW_SECONDS = 0.05  # between two drawings
_DRAWING_SHARE = 5  # and at least so many times what the last one took: a long table must not hold the answer up
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_DIM, _NORMAL = "\x1b[2m", "\x1b[22m"
# All of C0 and C1 but ends of lines and tabs: in a model's mouth they could write over the screen or its title.
_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], "\ufffd") | {
    ord("\n"): "\n",
    ord("\t"): "\t",
    ord("\r"): "",
}


def harmless(text: str) -> str:
    """What a terminal only shows, and does not obey."""
    return text.translate(_CONTROLS)


class Painter(Protocol):
    def show(self, answer: Answer) -> None: ...

    def end(self, answer: Answer) -> None: ...


class PlainPainter:
    """A terminal is shown thoughts too, dim; what reads a pipe wants the answer alone, as it is."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._thought = 0  # characters written
        self._said = 0

    def show(self, answer: Answer) -> None:
        if self._terminal and len(answer.thought) > self._thought:
            self._write(f"{_DIM}{harmless(answer.thought[self._thought :])}{_NORMAL}")
            self._thought = len(answer.thought)
        if len(answer.said) > self._said:
            if self._thought and not self._said:
                self._write("\n\n")
            new = answer.said[self._said :]
            self._write(harmless(new) if self._terminal else new)
            self._said = len(answer.said)

    def end(self, answer: Answer) -> None:
        self.show(answer)
        if self._said or self._thought:
            self._write("\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


class MarkdownPainter:
    """Finished blocks are printed once and scroll away; the last one is drawn again as it grows.

    `out` is a terminal. Used inside a running event loop, which draws what came between two drawings.
    """

    def __init__(self, out: TextIO, variables: Mapping[str, str]) -> None:
        from argosy.chat.markdown import Renderer, columns  # noqa: PLC0415
        from argosy.chat.region import Region  # noqa: PLC0415

        self._out = out
        self._renderer = Renderer(variables)
        self._region = Region(columns)
        self._thought = 0  # characters that are finished
        self._said = 0
        self._anything = False  # above
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._out.write(_HIDE_CURSOR)

    def show(self, answer: Answer) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._due - time.monotonic()), self._on_time, answer)

    def end(self, answer: Answer) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._draw(answer, whole=True)
        self._out.write(_SHOW_CURSOR)
        self._out.flush()

    def _on_time(self, answer: Answer) -> None:
        self._timer = None
        began = time.monotonic()
        self._draw(answer, whole=False)
        ended = time.monotonic()
        self._due = ended + max(_DRAW_SECONDS, _DRAWING_SHARE * (ended - began))

    def _draw(self, answer: Answer, *, whole: bool) -> None:
        size = os.get_terminal_size(self._out.fileno())
        width = max(1, size.columns - 1)  # a line that fills the last column is broken by some terminals
        finished, changing = self._thoughts(answer, width, whole=whole or bool(answer.said))
        ready, growing = self._words(answer, width, whole=whole)
        if not (self._anything or finished or changing or ready or growing or whole):
            changing = self._renderer.dim("…", width)
        self._anything = self._anything or bool(finished or ready)
        self._out.write(self._region.draw([*finished, *ready], [*changing, *growing], width=width, height=size.lines))
        self._out.flush()

    def _thoughts(self, answer: Answer, width: int, *, whole: bool) -> tuple[list[str], list[str]]:
        rest = answer.thought[self._thought :]
        end = len(rest) if whole else rest.rfind("\n") + 1
        self._thought += end
        ready, growing = harmless(rest[:end]).strip("\n"), harmless(rest[end:])
        return (
            self._renderer.dim(ready, width) if ready.strip() else [],
            self._renderer.dim(growing, width) if growing.strip() else [],
        )

    def _words(self, answer: Answer, width: int, *, whole: bool) -> tuple[list[str], list[str]]:
        from argosy.chat.markdown import finished_end  # noqa: PLC0415

        rest = answer.said[self._said :]
        end = len(rest) if whole else finished_end(rest)
        above = self._anything or bool(answer.thought.strip())
        ready = self._block(rest[:end], width, above=above)
        growing = self._block(rest[end:], width, above=above or bool(ready))
        self._said += end
        return ready, growing

    def _block(self, text: str, width: int, *, above: bool) -> list[str]:
        if not text.strip():
            return []
        return [*([""] if above else []), *self._renderer.lines(harmless(text), width)]
