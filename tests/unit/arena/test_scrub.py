"""What is left of an answer: what was said, and nothing that tells who said it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from argosy.arena.scrub import Scrub

SECRETS = {
    "id": "chatcmpl-vllm-1",
    "model": "qwen",
    "system_fingerprint": "b6000-llama.cpp",
    "owned_by": "vllm",
    "timings": {"predicted_ms": 3.5},
    "usage": {"prompt_tokens": 7},
}


def event(choices: list[Any], **more: Any) -> bytes:
    return b"data: " + json.dumps({**SECRETS, "choices": choices, **more}, ensure_ascii=False).encode() + b"\n\n"


def delta(text: str | None, reason: str | None = None) -> bytes:
    told = {"content": text, "reasoning_content": "I am qwen"}
    return event([{"index": 0, "delta": told, "finish_reason": reason, "stop_reason": 151645, "logprobs": None}])


STREAM = (
    b": OPENROUTER PROCESSING\n\n"
    + delta(None)
    + delta("Grüße, ")
    + delta("世界")
    + event([{"index": 1, "delta": {"content": "another choice"}}])
    + delta("", "length")
    + event([])
    + b"data: [DONE]\n\n"
)


def scrubbed(*parts: bytes) -> tuple[bytes, str]:
    heard: list[str] = []
    scrub = Scrub("b", "chatcmpl-0", 5, heard.append)
    return b"".join(map(scrub.events, parts)), "".join(heard)


def test_a_stream_is_made_anew_wherever_it_is_cut() -> None:
    whole, heard = scrubbed(STREAM)
    head = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 5, "model": "b"}
    events = [json.loads(each[6:]) for each in whole.split(b"\n\n")[:-2]]
    assert events == [
        {**head, "choices": [{"index": 0, "delta": told, "finish_reason": reason}]}
        for told, reason in (
            ({"role": "assistant", "content": ""}, None),
            ({"content": "Grüße, "}, None),
            ({"content": "世界"}, None),
            ({}, "length"),
        )
    ]
    assert whole.endswith(b"\n\ndata: [DONE]\n\n")
    assert heard == "Grüße, 世界"
    for cut in range(len(STREAM) + 1):
        assert scrubbed(STREAM[:cut], STREAM[cut:]) == (whole, heard), cut
    assert scrubbed(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == (whole, heard)


def test_events_end_in_either_way_of_ending_a_line() -> None:
    assert scrubbed(STREAM.replace(b"\n", b"\r\n")) == scrubbed(STREAM)


def test_nothing_follows_the_end_or_an_error() -> None:
    after_the_end, _ = scrubbed(STREAM + delta("more"))
    assert after_the_end == scrubbed(STREAM)[0]
    told, _ = scrubbed(event([], error={"message": "qwen.0 died", "code": "engine_died"}) + STREAM)
    first, done, rest = told.split(b"\n\n")
    assert json.loads(first[6:])["error"]["code"] == "side_failed"
    assert (done, rest) == (b"data: [DONE]", b"")
    assert b"qwen" not in told


def test_a_plain_answer_keeps_its_text_and_an_end_that_every_engine_knows() -> None:
    heard: list[str] = []
    body = {**SECRETS, "choices": [{"index": 0, "finish_reason": "eos", "message": {"content": "Hi", "audio": None}}]}
    status, told = Scrub("a", "chatcmpl-0", 5, heard.append).plain(json.dumps(body).encode())
    assert (status, heard) == (200, ["Hi"])
    assert json.loads(told) == {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 5,
        "model": "a",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    }


@pytest.mark.parametrize(
    "body", [b"", b"qwen", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[{"message":{"content":7}}]}']
)
def test_what_is_no_answer_is_told_as_a_failure(body: bytes) -> None:
    status, told = Scrub("a", "chatcmpl-0", 5, lambda text: None).plain(body)
    assert status == 502
    assert msgspec.json.decode(told)["error"]["code"] == "side_failed"


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "context_length_exceeded", (400, "context_length_exceeded")),
        (400, "qwen_is_full", (400, "side_refused")),
        (418, None, (400, "side_refused")),
        (404, "model_not_found", (502, "side_failed")),
        (429, "queue_full", (429, "queue_full")),
        (500, 17, (502, "side_failed")),
        (503, "not_ready", (503, "side_failed")),
        (504, "first_token_timeout", (504, "side_failed")),
    ],
)
def test_an_error_keeps_what_every_model_could_say(status: int, code: Any, expected: tuple[int, str]) -> None:
    body = json.dumps({"error": {"message": "qwen: no", "type": "QwenError", "param": "qwen", "code": code}}).encode()
    told_status, told = Scrub("a", "chatcmpl-0", 5, lambda text: None).refusal(status, body)
    assert (told_status, json.loads(told)["error"]["code"]) == expected
    assert b"qwen" not in told.lower()
