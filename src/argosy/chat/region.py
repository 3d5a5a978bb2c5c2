"""The last lines of the terminal, while they may still change: which bytes turn what stands there into what should.

Pure: it remembers what it drew and returns what to write. The cursor stays at the beginning of the line below them.
Lines that are finished scroll away above; what may change is never higher than the screen, where no cursor comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

# A terminal that knows it shows all at once; others pass it over. https://contour-terminal.org/vt-extensions/synchronized-output/
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"


class Region:
    """`cells`: the columns that a line takes, whatever colours it has."""

    def __init__(self, cells: Callable[[str], int]) -> None:
        self._cells = cells
        self._drawn: list[str] = []
        self._width = 0

    def draw(self, finished: Sequence[str], changing: Sequence[str], *, width: int, height: int) -> str:
        """`finished` lines stay above for good; of the `changing` ones the last that fit are shown."""
        shown = list(changing[max(0, len(changing) - (height - 1)) :]) if height > 1 else []
        wanted = [*finished, *shown]
        same = 0
        if width == self._width:
            pairs = zip(self._drawn, wanted, strict=False)
            same = next((at for at, (old, new) in enumerate(pairs) if old != new), min(len(self._drawn), len(wanted)))
        above = sum(self._rows(line, width) for line in self._drawn[same:])
        moved = f"\x1b[{above}A" if above else ""
        written = "".join(f"{line}\x1b[K\n" for line in wanted[same:])
        rest = "\x1b[J" if len(self._drawn) > len(wanted) or width != self._width else ""
        self._drawn, self._width = shown, width
        if not (moved or written):
            return ""
        return f"{_BEGIN}\r{moved}{written}{rest}{_END}"

    def _rows(self, line: str, width: int) -> int:
        """More than one where the terminal was made narrower since, and broke the line itself."""
        return max(1, -(-self._cells(line) // width)) if width < self._width else 1
