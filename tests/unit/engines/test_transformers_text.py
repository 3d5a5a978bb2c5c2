"""Text comes out in whole characters and ends before a stop word, however tokens cut it."""

from __future__ import annotations

import pytest

from argosy.engines.transformers_text import TextStream


def spoken(text: str, stops: list[str]) -> tuple[list[str], bool]:
    """With a token for each byte."""
    stream = TextStream(lambda tokens: bytes(tokens).decode(errors="replace"), stops)
    said = []
    for byte in text.encode():
        said.append(stream.add(byte))
        if stream.stopped:
            break
    said.append(stream.end())
    return said, stream.stopped


@pytest.mark.parametrize("text", ["", "plain", "早上好, 船长 ⚓!", "a\ufffdb"])
def test_all_of_it_is_said(text: str) -> None:
    said, stopped = spoken(text, [])
    assert "".join(said) == text
    assert not stopped


def test_a_character_of_several_tokens_is_said_whole() -> None:
    said, _ = spoken("好", [])
    assert said == ["", "", "好", ""]


@pytest.mark.parametrize(
    ("stops", "left"), [(["Blue"], "Red, "), (["xyz", ", "], "Red"), (["Green!"], "Red, Blue, Green"), (["R"], "")]
)
def test_a_stop_word_ends_it_and_is_not_said(stops: list[str], left: str) -> None:
    said, stopped = spoken("Red, Blue, Green", stops)
    assert "".join(said) == left
    assert stopped == (left != "Red, Blue, Green")


def test_what_only_begins_like_a_stop_word_is_said_late_but_said() -> None:
    said, stopped = spoken("a<<b", ["<<<"])
    assert said == ["a", "", "", "<<b", ""]
    assert not stopped
