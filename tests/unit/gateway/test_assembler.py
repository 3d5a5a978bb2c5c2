from __future__ import annotations

import json
from typing import Any

import pytest

from argosy.errors import BrokenAnswerError
from argosy.gateway.assembler import Assembler
from argosy.protocol.endpoints import CHAT, COMPLETIONS

HEAD = {"id": "c-1", "created": 1, "model": "m", "system_fingerprint": "f"}


def part(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


def text(said: str, index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"index": index, "text": said, "finish_reason": finish, **more}


def chunk(*choices: dict[str, Any], **more: Any) -> bytes:
    return b"data: " + json.dumps({**HEAD, "object": "chunk", "choices": choices, **more}).encode() + b"\n\n"


def usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def assembled(path: str, *chunks: bytes, choices_each: int = 1) -> Any:
    assembler = Assembler(path, choices_each=choices_each)
    for each in chunks:
        assembler.feed(each)
    assert assembler.finished
    return json.loads(assembler.answer())


def test_a_chat_is_what_its_pieces_say() -> None:
    answer = assembled(
        CHAT,
        chunk(part(role="assistant", content=None)) + chunk(part(content="Hel")),
        chunk(part(content="lo", reasoning_content="so")),
        chunk(part(finish="stop")),
        chunk(usage=usage(7, 2), timings={"predicted_n": 2}) + b"data: [DONE]\n\n",
    )
    message = {"role": "assistant", "content": "Hello", "reasoning_content": "so"}
    assert answer == {
        **HEAD,
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": usage(7, 2),
        "timings": {"predicted_n": 2},
    }


def test_tool_calls_are_put_together_by_their_index() -> None:
    def begun(index: int, call: str, name: str, arguments: str) -> dict[str, Any]:
        return {"index": index, "id": call, "type": "function", "function": {"name": name, "arguments": arguments}}

    answer = assembled(
        CHAT,
        chunk(part(role="assistant", content=None)),
        chunk(
            part(tool_calls=[{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}])
        ),
        chunk(part(tool_calls=[{"index": 0, "function": {"arguments": '{"x":'}}])),
        chunk(
            part(tool_calls=[{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}])
        ),
        chunk(part(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}])),
        chunk(part(finish="tool_calls")),
    )
    (choice,) = answer["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }


def test_an_answer_without_a_word_is_an_empty_text() -> None:
    answer = assembled(CHAT, chunk(part(role="assistant", content=None)), chunk(part(finish="stop")))
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": ""}


def test_log_probabilities_of_all_tokens_stand_in_one_list() -> None:
    def told(token: str) -> dict[str, Any]:
        return {"content": [{"token": token, "logprob": -0.5}]}

    answer = assembled(
        COMPLETIONS,
        chunk(text("a", logprobs=told("a"))),
        chunk(text("b", logprobs=told("b"))),
        chunk(text("", finish="length", logprobs=None)),
    )
    assert answer["object"] == "text_completion"
    tokens = [each["token"] for each in answer["choices"][0]["logprobs"]["content"]]
    assert (answer["choices"][0]["text"], tokens) == ("ab", ["a", "b"])


def test_usage_of_several_choices_is_all_they_said_and_the_prompt_once() -> None:
    answer = assembled(
        CHAT,
        chunk(part(1, content="x")),
        chunk(part(0, content="y")),
        chunk(part(1, "stop")) + chunk(usage=usage(30, 2)),
        chunk(part(0, "stop")) + chunk(usage=usage(30, 5)),
        choices_each=2,
    )
    assert [each["message"]["content"] for each in answer["choices"]] == ["y", "x"]
    assert answer["usage"] == usage(30, 7)


def test_usage_of_several_prompts_counts_each_prompt_once() -> None:
    ends = [chunk(text("", index, "stop"), usage=usage(10 * (1 + index // 2), 1)) for index in (1, 0, 2, 3)]
    answer = assembled(COMPLETIONS, *ends[:2], b"data: null\n\n", *ends[2:], choices_each=2)
    assert answer["usage"] == usage(30, 4)


def test_an_answer_is_finished_when_every_choice_has_its_end() -> None:
    assembler = Assembler(CHAT)
    assert not assembler.finished
    assembler.feed(chunk(part(0, content="x")) + chunk(part(1, "stop")))
    assert not assembler.finished
    assembler.feed(chunk(part(0, "stop")))
    assert assembler.finished


@pytest.mark.parametrize(("told", "status"), [({"code": 400, "message": "no"}, 400), ({"message": "no"}, 500)])
def test_an_error_instead_of_an_answer_keeps_its_status(told: dict[str, Any], status: int) -> None:
    assembler = Assembler(CHAT)
    assembler.feed(b"data: " + json.dumps({"error": told}).encode() + b"\n\n")
    assert assembler.refusal() == (status, json.dumps({"error": told}, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[1]",
        b'"text"',
        b'{"choices":[{"delta":{}}]}',
        b'{"choices":[1]}',
        b'{"choices":{"index":0}}',
        b'{"choices":[{"index":0,"delta":{"tool_calls":[{"index":100000000}]}}]}',
        b'{"choices":[{"index":0,"delta":{"tool_calls":[7]}}]}',
        b'{"choices":[{"index":0,"delta":7}]}',
        b"\xff",
        b"[" * 10_000,
    ],
)
def test_what_is_no_event_of_an_answer_is_a_broken_answer(data: bytes) -> None:
    with pytest.raises(BrokenAnswerError, match="none of an answer"):
        Assembler(CHAT).feed(b"data: " + data + b"\n\n")
