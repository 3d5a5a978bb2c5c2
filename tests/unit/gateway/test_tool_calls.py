"""Streams of answers that were bound to a tool call, or may hold one call alone, and what a client gets of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from argosy.errors import BrokenAnswerError
from argosy.gateway.held_back import without_progress
from argosy.gateway.tool_calls import CallReader, FirstCalls, ForcedCalls

HEAD = {"id": "1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
DONE = b"data: [DONE]\n\n"
ARGUMENTS = [
    "{}",
    '{"a": 3}',
    '{"a": {"b": [{}, {"c": "}"}]}}',
    '{"text": "a \\"quoted\\" { and a \\\\"}',
    '{\n "größe":\n "“}”"\n}',
]


def event(delta: dict[str, Any] | None = None, index: int = 0, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return b"data: " + json.dumps({**HEAD, "choices": [choice], **more}).encode() + b"\n\n"


def said(*pieces: str, index: int = 0) -> bytes:
    return b"".join(event({"content": piece}, index) for piece in pieces)


def read(stream: bytes) -> list[Any]:
    parts = [each.removeprefix(b"data: ") for each in stream.split(b"\n\n")[:-1]]
    return [each.decode() if each == b"[DONE]" else json.loads(each) for each in parts]


def forced(*, named: bool = False) -> ForcedCalls:
    return ForcedCalls(named=named, before=None)


def begun(name: str) -> Any:
    return {"index": 0, "id": "", "type": "function", "function": {"name": name, "arguments": ""}}


def deltas(stream: bytes) -> list[Any]:
    """Of a stream of one choice, without its end; ids, which are drawn, are taken out."""
    found = [choice["delta"] for each in read(stream) if each != "[DONE]" for choice in each["choices"]]
    for delta in found:
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                assert re.fullmatch("[0-9A-Za-z]{9}", call["id"]), "the only form that every chat template takes"
                call["id"] = ""
    return found


@pytest.mark.parametrize("blank", ["", " ", "\n\n  "], ids=["no blank", "blanks", "lines"])
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_a_call_is_read_however_its_text_is_cut(arguments: str, blank: str) -> None:
    text = blank.join(["", "{", '"name"', ":", '"a\\u0064d"', ",", '"arguments"', ":", arguments, "}", ""])
    for size in (1, 2, 3, 7, len(text)):
        reader = CallReader()
        parts = [reader.feed(text[at : at + size]) for at in range(0, len(text), size)]
        assert [name for name, _ in parts if name] == ["add"]
        assert "".join(part for _, part in parts) == arguments
        assert reader.whole


def test_a_call_is_told_as_it_comes() -> None:
    repair = forced()
    parts = [
        event({"role": "assistant", "content": None}),
        *(said(piece) for piece in ('{"', "name", '": "', "add", '", "arguments"', ': {"a', '": 3', "}}")),
        event(finish="stop"),
        DONE,
    ]
    told = [repair(part) for part in parts]
    assert [deltas(each) for each in told] == [
        [{"role": "assistant", "content": None}],
        *[[], [], [], []],
        [{"tool_calls": [begun("add")]}],
        [{"tool_calls": [{"index": 0, "function": {"arguments": '{"a'}}]}],
        [{"tool_calls": [{"index": 0, "function": {"arguments": '": 3'}}]}],
        [{"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}],
        [{}],
        [],
    ]
    assert told[-1] == DONE


def test_a_call_that_comes_in_one_piece_begins_with_its_name_all_the_same() -> None:
    assert deltas(forced()(said('{"name":"now","arguments":{}}'))) == [
        {"tool_calls": [begun("now")]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
    ]


@pytest.mark.parametrize(("named", "reason"), [(False, "tool_calls"), (True, "stop")])
def test_it_ends_as_with_openai(named: bool, reason: str) -> None:
    whole = said('{"name":"now","arguments":{}}') + event(finish="stop", timings={"predicted_n": 9})
    last = read(forced(named=named)(whole))[-1]
    assert (last["choices"][0]["finish_reason"], last["timings"]) == (reason, {"predicted_n": 9})


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        (['{"na'], []),
        (['{"name":"now"'], [begun("now")]),
        (['{"name":"now","arguments":{"a'], [begun("now"), {"index": 0, "function": {"arguments": '{"a'}}]),
    ],
)
def test_what_is_cut_is_told_as_far_as_it_came(pieces: list[str], told: list[Any]) -> None:
    *before, last = deltas(repaired := forced()(said(*pieces) + event(finish="length")))
    assert ([call for delta in before for call in delta["tool_calls"]], last) == (told, {})
    assert read(repaired)[-1]["choices"][0]["finish_reason"] == "length"


def test_every_choice_has_its_own_call_and_id() -> None:
    repair = forced()
    told = read(
        repair(said('{"name":"a","arg', index=1) + said('{"name":"b","arguments":{"x":', index=0))
        + repair(said('uments":{}}', index=1) + said("1}}", index=0))
    )
    calls = [(each["choices"][0]["index"], each["choices"][0]["delta"]["tool_calls"][0]) for each in told]
    names = {index: call["function"]["name"] for index, call in calls if "id" in call}
    arguments = {at: "".join(call["function"]["arguments"] for index, call in calls if index == at) for at in (0, 1)}
    assert (names, arguments) == ({0: "b", 1: "a"}, {0: '{"x":1}', 1: "{}"})
    assert len({call["id"] for _, call in calls if "id" in call}) == 2


def test_thoughts_usage_and_all_that_is_no_text_pass() -> None:
    thought = event({"reasoning_content": "Hm."})
    usage = b"data: " + json.dumps({**HEAD, "choices": [], "usage": {"prompt_tokens": 1}}).encode() + b"\n\n"
    error = b'data: {"error": {"message": "no"}}\n\n'
    for each in (usage, error, b": a comment\n\n", DONE):
        assert forced()(each) == each
    assert read(forced()(thought)) == read(thought)


def test_the_text_is_seen_neither_as_content_nor_as_logprobs() -> None:
    choice = {"index": 0, "delta": {"content": '{"name":"now"'}, "logprobs": {"content": [1]}, "finish_reason": None}
    stream = b"data: " + json.dumps({**HEAD, "choices": [choice]}).encode() + b"\n\n"
    end = {"index": 0, "delta": {}, "logprobs": {"content": [1]}, "finish_reason": "length"}
    stream += b"data: " + json.dumps({**HEAD, "choices": [end]}).encode() + b"\n\n"
    choices = [each["choices"][0] for each in read(forced()(stream))]
    assert [each.get("logprobs") for each in choices] == [None, None]
    assert all("content" not in each["delta"] for each in choices)


def test_what_only_the_gateway_asked_for_is_taken_out_first() -> None:
    progress = b'data: {"choices":[],"prompt_progress":{"total":9}}\n\n'
    assert ForcedCalls(named=True, before=without_progress)(progress + DONE) == DONE
    assert FirstCalls(before=without_progress)(progress + DONE) == DONE


@pytest.mark.parametrize("text", ["", "A word.", '{"name":"now"', '{"name":"now","arguments":{"a":1', '{"name":1}'])
def test_an_answer_that_is_no_call_is_a_broken_answer(text: str) -> None:
    with pytest.raises(BrokenAnswerError, match="not the tool call"):
        forced()(said(text) + event(finish="stop"))


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[1]",
        b'{"choices":[1]}',
        b'{"choices":[{"index":0}]}',
        b'{"choices":[{"delta":{"tool_calls":7}}]}',
        b"\xff",
    ],
)
def test_what_is_no_event_of_an_answer_is_a_broken_answer(data: bytes) -> None:
    stream = b"data: " + data + b"\n\n"
    with pytest.raises(BrokenAnswerError, match="none of an answer"):
        forced()(stream)


def call_part(index: int, **function: str) -> dict[str, Any]:
    return {"index": index, "function": function}


def test_of_several_calls_the_first_is_passed_on() -> None:
    first, second = event({"tool_calls": [call_part(0, name="a")]}), event({"tool_calls": [call_part(1, name="b")]})
    rest = event({"tool_calls": [call_part(1, arguments="{}")]})
    end = event(finish="tool_calls")
    assert read(FirstCalls(before=None)(first + second + rest + end + DONE)) == read(first + end + DONE)


def test_calls_in_one_event_are_told_apart() -> None:
    both = event(
        {"content": "So:", "tool_calls": [call_part(0, name="a"), call_part(1, name="b")]}, finish="tool_calls"
    )
    (got,) = read(FirstCalls(before=None)(both))
    assert got["choices"][0]["delta"] == {"content": "So:", "tool_calls": [call_part(0, name="a")]}


def test_every_choice_keeps_its_first_call() -> None:
    each = event({"tool_calls": [call_part(0, name="a")]}, 0) + event({"tool_calls": [call_part(0, name="b")]}, 1)
    assert read(FirstCalls(before=None)(each)) == read(each)


def test_a_text_is_passed_on_as_it_came() -> None:
    text = said("Hello, ", 'not "tool_calls" but words') + event(finish="stop") + DONE
    assert FirstCalls(before=None)(text) == text


@pytest.mark.parametrize("data", [b'{"tool_calls":', b'{"choices":[{"delta":{"tool_calls":7}}]}'])
def test_a_broken_event_with_calls_is_a_broken_answer(data: bytes) -> None:
    with pytest.raises(BrokenAnswerError, match="none of an answer"):
        FirstCalls(before=None)(b"data: " + data + b"\n\n")
