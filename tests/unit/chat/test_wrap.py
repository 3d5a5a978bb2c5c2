import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from argosy.chat.wrap import line_starts


def wrapped(text: str, width: int) -> list[str]:
    starts = [0, *line_starts(text, width, cell_len), len(text)]
    return [text[start:end].rstrip() for start, end in itertools.pairwise(starts)]


def test_chinese_is_broken_between_characters_and_english_between_words() -> None:
    assert wrapped("Argosy 是一个很快的工具 with words", 12) == ["Argosy 是一", "个很快的工具", "with words"]
    assert wrapped("one two three", 8) == ["one two", "three"]


def test_a_closing_mark_begins_no_line_and_an_opening_one_ends_none() -> None:
    assert wrapped("你好世界，你好", 8) == ["你好世", "界，你好"]
    assert wrapped("你好世（界）", 8) == ["你好世", "（界）"]


def test_a_word_longer_than_a_line_is_cut() -> None:
    assert wrapped("abcdefgh", 3) == ["abc", "def", "gh"]
    assert wrapped("，，，，", 4) == ["，，", "，，"]


@settings(max_examples=60, deadline=None)  # a busy machine is no fault
@given(st.text(alphabet="ab 你好，。（）é\u0301-", max_size=60), st.integers(2, 20))
def test_no_line_is_too_long_and_no_character_is_lost(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
