"""When an answer gives its model away."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.arena.telling import Telltale, telling_words

QWEN = telling_words(["qwen2.5-coder-0.5b", "coder"])


def told(words: frozenset[str], *parts: str) -> str | None:
    telltale = Telltale(words)
    for part in parts:
        telltale.feed(part)
    telltale.finish()
    return telltale.told


@pytest.mark.parametrize(
    "text",
    [
        "I am Qwen, created by Alibaba Cloud.",
        "Hello! I'm QWEN2.5.",
        "qwen",
        "我是通义千问。",
        "我是阿里云开发的模型",
        "My name is Qwen 2.5 Coder 0.5B!",
        "As a coder, I…",
    ],
)
def test_names_families_and_makers_tell_in_both_languages(text: str) -> None:
    assert told(QWEN, text)


@pytest.mark.parametrize(
    "text", ["", "I am a model.", "Qwench your thirst", "decoders", "一千个问题", "GPT-4 by OpenAI"]
)
def test_other_words_and_other_models_names_do_not_tell(text: str) -> None:
    assert told(QWEN, text) is None


def test_a_source_tells_the_family_that_a_name_hides() -> None:
    words = telling_words(["fast"], "hf:meta-llama/Llama-3.2-1B")
    assert told(words, "I am LLaMA.") == "LLaMA"
    assert told(telling_words(["fast"]), "I am LLaMA.") is None


def test_a_short_family_wants_a_word_of_its_own() -> None:
    assert "零一万物" in telling_words(["yi-6b"])
    assert "零一万物" not in telling_words(["flying-fox"])
    assert told(telling_words(["phi-3"]), "philosophy") is None
    assert told(telling_words(["phi-3"]), "I am Phi.") == "Phi"


def test_no_words_tell_nothing() -> None:
    assert told(frozenset(), "anything") is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(st.data())
def test_where_a_text_is_cut_makes_no_difference(data: st.DataObject) -> None:
    text = data.draw(
        st.lists(st.sampled_from(["Qwen", "qwen 2.5", "-coder", "-0.5b", "s", " ", "通", "义", "a", "."]), max_size=8)
    )
    whole = "".join(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    parts = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert bool(told(QWEN, *parts)) is bool(told(QWEN, whole))
