"""Streams as some engines send them, and as a client gets them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from argosy.errors import BrokenAnswerError
from argosy.gateway.held_back import without_progress
from argosy.gateway.repair import ChoiceRepair, EndRepair
from argosy.protocol.openai import Usage

HEAD = {"id": "1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
DONE = b"data: [DONE]\n\n"
ASKED = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def part(index: int = 0, text: str = "a", finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}], **more}


def said(text: str, index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Of a completion."""
    return {**HEAD, "choices": [{"index": index, "text": text, "finish_reason": finish, **more}]}


def event(told: Any, *, compact: bool = True) -> bytes:
    return b"data: " + json.dumps(told, separators=(",", ":") if compact else None).encode() + b"\n\n"


def read(stream: bytes) -> list[Any]:
    parts = [each.removeprefix(b"data: ") for each in stream.split(b"\n\n")[:-1]]
    return [each.decode() if each == b"[DONE]" else json.loads(each) for each in parts]


def choices(*, chat: bool = True, n: int = 2, apart: bool = True, wants_usage: bool = True) -> ChoiceRepair:
    return ChoiceRepair(chat=chat, choices_each=n, apart=apart, wants_usage=wants_usage, before=None)


def test_choices_that_are_counted_apart_are_told_together_at_the_end() -> None:
    repair = choices()
    usage_event = {**HEAD, "choices": [], "usage": ASKED}
    got = read(
        repair(event(part(0)) + event(part(1)) + event(part(0, finish="stop")) + event(usage_event))
        + repair(event(part(1, finish="stop")) + event(usage_event) + DONE)
    )
    together = {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
    assert got[-2:] == [{**HEAD, "choices": [], "usage": together}, "[DONE]"]
    assert sum("usage" in each for each in got[:-1]) == 1
    assert repair.usage == Usage(5, 4)


def test_a_prompt_is_counted_once_for_its_choices_and_every_prompt_of_a_list() -> None:
    repair = choices(chat=False)
    stream = b"data: null\n\n"
    for index, prompt in enumerate((3, 3, 4, 4)):
        usage = {"prompt_tokens": prompt, "completion_tokens": 2, "total_tokens": prompt + 2}
        stream += event({**said("", index, "length"), "usage": usage})
    got = read(repair(stream + DONE))
    assert got[-2]["usage"] == {"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15}
    assert [each["choices"][0]["index"] for each in got[:-2]] == [0, 1, 2, 3]
    assert all("usage" not in each for each in got[:-2])


def test_tokens_are_known_also_where_nobody_asked_and_nothing_is_added() -> None:
    timings = {"timings": {"prompt_n": 1, "cache_n": 4, "predicted_n": 2}}
    repair = choices(wants_usage=False)
    stream = event(part(0, finish="stop", **timings)) + event(part(1, finish="stop", **timings)) + DONE
    assert repair(stream) == stream
    assert repair.usage == Usage(5, 4)


def test_a_completions_logprobs_have_a_completions_shape() -> None:
    def content(token: str) -> dict[str, Any]:
        return {"content": [{"token": token, "logprob": -1, "top_logprobs": [{"token": "x", "logprob": -0.5}]}]}

    repair = choices(chat=False, n=1)
    got = read(repair(event(said("Au", logprobs=content("Au"))) + event(said("tumn", logprobs=content("tumn")))))
    assert [each["choices"][0]["logprobs"] for each in got] == [
        {"tokens": ["Au"], "token_logprobs": [-1], "top_logprobs": [{"x": -0.5}], "text_offset": [0]},
        {"tokens": ["tumn"], "token_logprobs": [-1], "top_logprobs": [{"x": -0.5}], "text_offset": [2]},
    ]


def test_what_needs_no_repair_keeps_its_bytes() -> None:
    stream = b": comment\n\n" + event(part(0), compact=False) + event({"error": {"message": "x"}}, compact=False)
    assert choices()(stream) == stream


def test_what_only_the_gateway_asked_for_is_taken_out_first() -> None:
    repair = ChoiceRepair(chat=True, choices_each=2, apart=True, wants_usage=False, before=without_progress)
    assert repair(event({**part(), "prompt_progress": {}}) + event(part(0))) == event(part(0))


@pytest.mark.parametrize("data", [b"data: {\n\n", b"data: []\n\n", b'data: {"choices":[{}]}\n\n'])
def test_what_is_no_event_of_an_answer_breaks_it(data: bytes) -> None:
    with pytest.raises(BrokenAnswerError, match="none of an answer"):
        choices()(data)


def test_every_choice_gets_a_finish_reason() -> None:
    got = read(choices(apart=False, wants_usage=False)(event(part(0, finish="length")) + event(part(1)) + DONE))
    assert got[-2] == {**HEAD, "choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]}


def test_usage_of_all_choices_stays_where_an_engine_tells_it_once() -> None:
    stream = (
        event(part(0, finish="stop")) + event(part(1, finish="stop")) + event({**HEAD, "choices": [], "usage": ASKED})
    )
    repair = choices(apart=False)
    assert repair(stream + DONE) == stream + DONE
    assert repair.usage == Usage(5, 2)


class TestEndRepair:
    def got(self, *pieces: bytes, wants_usage: bool = True, chat: bool = True) -> bytes:
        repair = EndRepair(chat=chat, wants_usage=wants_usage, before=None)
        return b"".join(map(repair, pieces))

    @pytest.mark.parametrize("compact", [True, False])
    def test_a_whole_stream_keeps_its_bytes(self, compact: bool) -> None:
        last = {**HEAD, "choices": [], "usage": ASKED}
        pieces = [event(each, compact=compact) for each in (part(), part(finish="stop"), last)]
        assert self.got(*pieces, DONE) == b"".join(pieces) + DONE
        assert self.got(b"".join(pieces) + DONE) == b"".join(pieces) + DONE

    @pytest.mark.parametrize("together", [True, False])
    def test_a_finish_reason_and_usage_that_were_forgotten_are_added(self, together: bool) -> None:
        pieces: Sequence[bytes] = [event(part(text="a")), event(part(text="b")), b"", DONE]
        got = read(self.got(*([b"".join(pieces)] if together else pieces)))
        assert got[:2] == [part(text="a"), part(text="b")]
        assert got[2] == {**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        assert got[3] == {
            **HEAD,
            "choices": [],
            "usage": {"prompt_tokens": 0, "completion_tokens": 2, "total_tokens": 2, "estimated": True},
        }
        assert got[4:] == ["[DONE]"]

    def test_usage_is_added_only_where_it_was_asked_for(self) -> None:
        got = read(self.got(event(said("a")), DONE, wants_usage=False, chat=False))
        finish = {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}
        assert got[1:] == [{**HEAD, "choices": [finish]}, "[DONE]"]

    @pytest.mark.parametrize("last", [event({"error": {"message": "x"}}), b"", b": comment\n\n"])
    def test_nothing_is_added_to_what_is_no_answer(self, last: bytes) -> None:
        assert self.got(event(part()), last + DONE) == event(part()) + last + DONE if last else DONE
