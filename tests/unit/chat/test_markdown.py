import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.chat.markdown import Renderer, columns, finished_end

RENDERER = Renderer({"TERM": "xterm", "NO_COLOR": "1"})
BLOCKS = [
    "# Head\n",
    "Some words 你好\n",
    "- one\n- two\n\n  more\n",
    "```python\nx = 1\n\n# y\n```\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n",
    "> quoted\nlazily\n",
    "1. first\n",
    "---\n",
    "#hash\n",
    "    code\n",
]


def plain(text: str, width: int = 30) -> list[str]:
    return [re.sub(r"\x1b\[[\d;]*m", "", line) for line in RENDERER.lines(text, width)]


def test_blocks_stand_apart_and_code_can_be_copied() -> None:
    assert plain("Look:\n```sh\nls  -l\n```\n| a |\n|---|\n| 1 |\n\nDone.")[:5] == [
        "Look:",
        "",
        "```sh",
        "ls  -l",
        "```",
    ]
    assert "" not in plain("| a |\n|---|\n| 1 |")


def test_a_line_ends_where_the_model_ends_it() -> None:
    assert plain("你好，\n世界。\nEnd\n\n- one\n  two") == ["你好，", "世界。", "End", "", " • one", "   two"]


def test_lines_do_not_end_in_blanks_nor_beyond_the_width() -> None:
    lines = RENDERER.lines("".join(BLOCKS) + "\n" + "很长的中文" * 20, 20)
    assert all(columns(line) <= 20 for line in lines)
    assert not any(line.removesuffix("\x1b[0m").endswith(" ") for line in lines)


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("one\ntwo", ""),
        ("one\n\ntwo", ""),  # two may become anything
        ("one\n\ntwo\n", "one\n\n"),
        ("one\n#", ""),  # a heading or a hashtag
        ("one\n\n```\na\n\nb\n", "one\n\n"),
        ("- a\n\n- b\n\n", ""),
        ("- a\n\nb\n", "- a\n\n"),
    ],
)
def test_finished_is_what_no_later_text_changes(text: str, finished: str) -> None:
    assert text[: finished_end(text)] == finished


@settings(max_examples=30, deadline=None)  # a busy machine is no fault
@given(st.lists(st.sampled_from(BLOCKS), max_size=6), st.lists(st.integers(0, 40), max_size=8))
def test_an_answer_looks_the_same_however_it_came(blocks: list[str], cuts: list[int]) -> None:
    text = "\n".join(blocks)
    at, done, shown = 0, 0, list[str]()
    for cut in cuts:
        at = min(len(text), at + cut)
        end = done + finished_end(text[done:at])
        shown += RENDERER.lines(text[done:end], 30)
        done = end
    shown += RENDERER.lines(text[done:], 30)
    assert [line for line in shown if line] == [line for line in RENDERER.lines(text, 30) if line]
