"""Where a line of text may be broken, also where it has wide characters. Pure.

rich breaks between words alone, and to it a Chinese sentence is one word: it would begin a new line for each. Here a
line may also end before and after a wide character, but no line begins with a closing mark or ends with an opening one.
"""

from __future__ import annotations

from collections.abc import Callable

_NOT_FIRST = frozenset("，。、；：？！）》」』】〉〕｝’”…—～·,.;:?!)]}%")
_NOT_LAST = frozenset("（《「『【〈〔｛‘“([{")


def line_starts(text: str, width: int, cells: Callable[[str], int]) -> list[int]:
    """Where lines of at most `width` begin, but for the first one. `cells`: of one character, in columns.

    Blanks at a line's end do not count: whoever cuts there takes them off.
    """
    starts: list[int] = []
    begin = used = 0  # of the line: its first character, its columns
    at_break: int | None = None  # the last place in it where it may be cut
    since_break = 0  # columns behind that place
    for at, character in enumerate(text):
        size = cells(character)
        if at > begin and _may_break(text[at - 1], character, cells):
            at_break, since_break = at, 0
        while used + size > width and not character.isspace() and at > begin:
            if at_break is None:  # one word, longer than a line
                at_break, since_break = at, 0
            starts.append(at_break)
            begin, used, at_break = at_break, since_break, None
        used += size
        since_break += size
    return starts


def _may_break(before: str, after: str, cells: Callable[[str], int]) -> bool:
    if before.isspace():
        return not after.isspace()
    if after.isspace() or after in _NOT_FIRST or before in _NOT_LAST:
        return False
    if cells(after) == 0:  # it combines with the one before
        return False
    return cells(before) == 2 or cells(after) == 2
