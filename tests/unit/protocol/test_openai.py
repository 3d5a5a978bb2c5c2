from __future__ import annotations

import json

import pytest

from argosy.errors import UnavailableError
from argosy.protocol.openai import Usage, error_body, error_event, usage_of, usage_of_stream, with_fields


def test_fields_are_set_and_all_other_values_keep_their_bytes() -> None:
    body = b'{"model": "a", "seed" :  1.50e2, "messages":[ {"content":"\\u4f60\\/"} ],"z":{"b":1,  "a":2}}'
    changed = with_fields(body, {"model": "theirs", "new": [1]})
    assert b'[ {"content":"\\u4f60\\/"} ]' in changed
    assert b"1.50e2" in changed
    assert b'{"b":1,  "a":2}' in changed
    assert json.loads(changed) == {**json.loads(body), "model": "theirs", "new": [1]}


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        (b'{"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7},"choices":[]}', Usage(3, 4)),
        (b'{"usage":{"prompt_tokens":3,"total_tokens":3},"data":[]}', Usage(3, 0)),
        (b'{"timings":{"prompt_n":1,"cache_n":2,"predicted_n":5}}', Usage(3, 5)),
        (b'{"usage":{"prompt_tokens":3,"completion_tokens":4},"timings":{"prompt_n":9}}', Usage(3, 4)),
        (b'{"usage":null,"timings":{"prompt_n":1,"predicted_n":5}}', Usage(1, 5)),
        (b'{"choices":[]}', None),
        (b'{"usage":null}', None),
        (b'{"usage":{"prompt_tokens":"three"}}', None),
        (b"no JSON", None),
        (b"", None),
        (b'{"usage":{"prompt_tokens":3},"x":' + b"[" * 100_000, None),
    ],
)
def test_usage_is_what_an_answer_tells(answer: bytes, usage: Usage | None) -> None:
    assert usage_of(answer) == usage


@pytest.mark.parametrize(
    ("events", "usage"),
    [
        (b'data: {"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\ndata: [DONE]\n\n', Usage(3, 4)),
        (b'data: {"usage":{"prompt_tokens":3,"completion_tokens":4}}\r\n\r\ndata: [DONE]\r\n\r\n', Usage(3, 4)),
        (b'data:{"timings":{"prompt_n":3,"predicted_n":4}}\n\n', Usage(3, 4)),
        (b'data: {"usage":{"prompt_tokens":1}}\n\ndata: {"usage":{"prompt_tokens":2}}\n\n', Usage(2, 0)),
        (b'data: {"usage":null}\n\ndata: {"usage":{"prompt_tokens":1}}\n\ndata: [DONE]\n\n', Usage(1, 0)),
        (b'ge":1}\n\ndata: {"choices":[]}\n\ndata: [DONE]\n\n', None),
        (b'data: {"choices":[{"delta":{"content":"\\"usage\\""}}]}\n\n', None),
    ],
)
def test_usage_of_a_stream_is_what_its_last_event_with_some_tells(events: bytes, usage: Usage | None) -> None:
    assert usage_of_stream(events) == usage


def test_errors_have_openais_shape() -> None:
    error = UnavailableError("m is stopped", code="stopped", retry_after=30)
    told = {"error": {"message": "m is stopped", "type": "server_error", "param": None, "code": "stopped"}}
    assert json.loads(error_body(error)) == told
    first, done, end = error_event(error).split(b"\n\n")
    assert json.loads(first.removeprefix(b"data: ")) == told
    assert (done, end) == (b"data: [DONE]", b"")
