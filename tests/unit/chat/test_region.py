"""What Region writes, on the screen of a real terminal emulator."""

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from argosy.chat.region import Region

WIDTH, HEIGHT = 12, 6


class Screen:
    def __init__(self) -> None:
        self.region = Region(cell_len)
        self._screen = pyte.HistoryScreen(WIDTH, HEIGHT, history=1000, ratio=1.0)
        self._stream = pyte.Stream(self._screen)

    def draw(self, finished: list[str], changing: list[str]) -> str:
        written = self.region.draw(finished, changing, width=WIDTH, height=HEIGHT)
        self._stream.feed(written.replace("\n", "\r\n"))  # as the terminal's driver does
        return written

    def lines(self) -> list[str]:
        above = ["".join(line[at].data for at in range(WIDTH)) for line in self._screen.history.top]
        lines = [line.rstrip() for line in [*above, *self._screen.display]]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def test_what_grows_is_drawn_where_it_stood() -> None:
    screen = Screen()
    screen.draw([], ["Hel"])
    screen.draw([], ["Hello", "你"])
    screen.draw(["Hello", "你好"], ["next"])
    screen.draw(["last"], [])
    assert screen.lines() == ["Hello", "你好", "last"]


def test_of_what_is_higher_than_the_screen_its_end_is_shown() -> None:
    screen = Screen()
    screen.draw(["above"], [str(number) for number in range(9)])
    assert screen.lines() == ["above", "4", "5", "6", "7", "8"]
    screen.draw([str(number) for number in range(10)], [])
    assert screen.lines() == ["above", *(str(number) for number in range(10))]


def test_what_did_not_change_is_not_written_again() -> None:
    screen = Screen()
    screen.draw([], ["one", "two"])
    assert "one" not in screen.draw([], ["one", "two", "three"])
    assert screen.draw([], ["one", "two", "three"]) == ""


def test_a_terminal_that_was_made_narrower_has_broken_the_lines_itself() -> None:
    region = Region(cell_len)
    region.draw([], ["x" * 12], width=12, height=9)
    assert "\x1b[3A" in region.draw([], ["y"], width=5, height=9)


line = st.text(alphabet="ab你 ", max_size=5).map(str.rstrip)
lines = st.lists(line, max_size=8)


@settings(max_examples=30, deadline=None)  # a busy machine is no fault
@given(st.lists(st.tuples(lines, lines), max_size=6))
def test_finished_lines_stay_in_their_order_whatever_is_drawn_below(steps: list[tuple[list[str], list[str]]]) -> None:
    screen = Screen()
    finished: list[str] = []
    for now, changing in steps:
        screen.draw(now, changing)
        finished += now
    screen.draw(["end"], [])
    assert screen.lines() == [*finished, "end"]
