"""In which language somebody asks."""

from __future__ import annotations

import pytest

from argosy.arena.language import language_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How are you?", "en"),
        ("用 Python 写一个 hello world 程序，谢谢", "zh"),
        ("日本語で答えてください", "ja"),
        ("漢字とカナ", "ja"),
        ("안녕하세요", "ko"),
        ("Привет, как дела?", "ru"),
        ("مرحبا", "ar"),
        ("1 + 1 = ?", "other"),
        ("", "other"),
        ("Explain the word 道 in one sentence, please, with examples.", "en"),
    ],
)
def test_the_script_tells(text: str, expected: str) -> None:
    assert language_of(text) == expected


def test_a_pages_language_decides_among_those_in_latin_letters_alone() -> None:
    assert language_of("Wie geht es dir?", "de") == "de"
    assert language_of("你好吗", "de") == "zh"
    for hint in ("zh", "xx", "latin", None):
        assert language_of("How are you?", hint) == "en"
