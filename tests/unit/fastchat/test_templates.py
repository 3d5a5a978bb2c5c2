"""Prompts of conversation templates. prompts.json: templates and the prompts that FastChat 0.2.36 made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from argosy.errors import BadRequestError, UpstreamError
from argosy.fastchat.templates import Template

RECORDED = json.loads(Path(__file__).with_name("prompts.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("recorded", RECORDED["templates"], ids=lambda each: each["template"]["name"])
def test_a_prompt_is_what_fastchat_makes_of_the_same_messages(recorded: Any) -> None:
    template = msgspec.convert(recorded["template"], Template)
    made = [template.prompt([(role, text) for role, text in chat]) for chat in RECORDED["chats"]]
    assert made == recorded["prompts"]


def test_every_style_of_the_last_release_was_recorded() -> None:
    assert {each["template"]["sep_style"] for each in RECORDED["templates"]} == set(range(1, 20))


def test_later_numbers_are_known_by_the_look_of_the_template() -> None:
    llama3 = Template(
        "llama-3",
        8,
        system_template="<|start_header_id|>system<|end_header_id|>\n\n{system_message}<|eot_id|>",
        roles=("user", "assistant"),
        sep="",
    )
    assert llama3.prompt([("system", "Be short."), ("user", " hi ")]) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe short.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert Template("qwen-7b-chat", 10, sep="<|im_end|>").style == "CHATML"
    assert Template("internlm-chat", 10, sep="<eoh>").style == "CHATINTERN"


def test_another_style_is_refused_by_name() -> None:
    with pytest.raises(UpstreamError, match="'mine' has the separator style number 77"):
        Template("mine", 77).prompt([("user", "hi")])


def test_a_role_without_a_place_is_refused() -> None:
    with pytest.raises(BadRequestError, match="'tool'"):
        Template("one", 1).prompt([("tool", "4")])


def test_two_messages_of_one_role_are_one_turn() -> None:
    said = Template("two", 2, sep=" ", sep2="</s>").prompt([("user", "a"), ("user", "b")])
    assert said == " USER: a\nb ASSISTANT:"
