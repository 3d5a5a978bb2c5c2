from __future__ import annotations

from typing import Any

import msgspec
import pytest

from argosy.errors import BadRequestError, OverloadedError, UpstreamError
from argosy.fastchat.frames import Frame, FrameUsage
from argosy.fastchat.templates import Template
from argosy.fastchat.wording import Choice, GenerationRequest, bounded, fault_of
from argosy.protocol.endpoints import CHAT, COMPLETIONS

TEMPLATE = Template("one", 1, sep="###", stop_str="###", stop_token_ids=[7])


def request(**fields: Any) -> GenerationRequest:
    return msgspec.convert(fields, GenerationRequest)


def test_a_chat_is_sent_by_the_workers_template_and_with_its_stops() -> None:
    asked = request(messages=[{"role": "user", "content": "hi"}], stop=["END", "###"], top_k=3, temperature=0)
    assert asked.prompts(CHAT, TEMPLATE) == ["###USER: hi###ASSISTANT:"]
    params = asked.params("m", "p", 9, TEMPLATE)
    assert params["stop"] == ["END", "###"]
    assert (params["stop_token_ids"], params["max_new_tokens"], params["echo"]) == ([7], 9, False)
    assert (params["top_k"], params["temperature"]) == (3, 0)


def test_what_a_request_does_not_say_is_as_fastchats_api_server_has_it() -> None:
    params = request(messages=[]).params("m", "p", 9, TEMPLATE)
    assert (params["temperature"], params["top_p"], params["top_k"]) == (0.7, 1.0, -1)
    assert "repetition_penalty" not in params


def test_each_prompt_has_its_choices_behind_each_other() -> None:
    assert request(prompt=["a", "b"], n=2).prompts(COMPLETIONS, TEMPLATE) == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"prompt": [1, 2]}, COMPLETIONS),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, CHAT),
        ({"messages": [{"role": "user", "content": "hi"}], "tools": [{}]}, CHAT),
    ],
)
def test_what_a_worker_would_overlook_is_refused(fields: Any, path: str) -> None:
    with pytest.raises(BadRequestError):
        request(**fields).prompts(path, TEMPLATE)


def test_an_answer_is_bounded_by_what_the_prompt_leaves() -> None:
    assert bounded("m", 2048, 100, 40) == 59
    assert bounded("m", 10, 100, 40) == 10
    assert bounded("m", None, 100, 40) == 59
    with pytest.raises(BadRequestError) as refused:
        bounded("m", 10, 100, 100)
    assert refused.value.code == "context_length_exceeded"


def test_a_stop_text_that_shortens_the_answer_takes_nothing_back() -> None:
    choice = Choice(0, most_tokens=10)
    assert choice.take(Frame("Hello E")) == "Hello E"
    assert choice.take(Frame("Hello ")) == ""
    assert choice.end() == ""
    assert choice.finish_reason == "stop"


def test_a_reason_that_a_worker_does_not_tell_is_made() -> None:
    cut = Choice(0, most_tokens=2)
    cut.take(Frame("a b", usage=FrameUsage(1, 2)))
    cut.end()
    assert cut.finish_reason == "length"


def test_an_error_tells_its_cause_and_not_fastchats_words() -> None:
    words = "**NETWORK ERROR DUE TO HIGH TRAFFIC. PLEASE REGENERATE OR REFRESH THIS PAGE.**\n\n(CUDA out of memory)"
    fault = fault_of(50002, words, "http://w")
    assert str(fault) == "The FastChat worker at http://w failed (error 50002): CUDA out of memory"
    assert isinstance(fault, UpstreamError)
    assert isinstance(fault_of(42903, "", "http://w"), OverloadedError)
    assert isinstance(fault_of(40303, "", "http://w"), BadRequestError)
    assert fault_of(0, "fine", "http://w") is None
