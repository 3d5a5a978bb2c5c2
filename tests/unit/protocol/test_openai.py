from __future__ import annotations

import json

import pytest
from msgspec import UNSET

from argosy.errors import BadRequestError, UnavailableError
from argosy.protocol.openai import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    Usage,
    error_body,
    error_event,
    peek,
    usage_of,
    usage_of_stream,
    with_fields,
)


@pytest.mark.parametrize(
    ("path", "body", "model", "stream"),
    [
        (CHAT, b'{"model":"m","messages":[{}]}', "m", UNSET),
        (CHAT, b' {"stream" : true, "messages" : [ {} ] , "model" : "a/b", "x": null}\n', "a/b", True),
        (CHAT, b'{"model":"m","messages":[{}],"stream":null}', "m", None),
        (COMPLETIONS, b'{"model":"m","prompt":"hi","stream":false}', "m", False),
        (COMPLETIONS, b'{"model":"m","prompt":["a",[1,2]]}', "m", UNSET),
        (EMBEDDINGS, b'{"model":"m","input":[[1]],"messages":7}', "m", UNSET),
        (CHAT, '{"model":"模型","messages":[{"content":"你好"}]}'.encode(), "模型", UNSET),
    ],
)
def test_a_look_finds_model_and_stream(path: str, body: bytes, model: str, stream: object) -> None:
    found = peek(path, body)
    assert (found.model, found.stream) == (model, stream)


@pytest.mark.parametrize(
    ("path", "body", "param", "said"),
    [
        (CHAT, b'{"messages":[{}]}', "model", "Missing required parameter: 'model'."),
        (CHAT, b'{"model":"","messages":[{}]}', "model", "Missing required parameter: 'model'."),
        (CHAT, b'{"model":null,"messages":[{}]}', "model", "Missing required parameter: 'model'."),
        (CHAT, b'{"model":7,"messages":[{}]}', "model", "Invalid value for 'model': Expected `str"),
        (CHAT, b'{"model":"m"}', "messages", "Missing required parameter: 'messages'."),
        (CHAT, b'{"model":"m","messages":null}', "messages", "Missing required parameter: 'messages'."),
        (CHAT, b'{"model":"m","messages":"hi"}', "messages", "Invalid type for 'messages'"),
        (CHAT, b'{"model":"m","messages":[{}],"stream":"yes"}', "stream", "Invalid value for 'stream': Expected `bool"),
        (
            CHAT,
            b'{"model":"m","messages":[{}],"max_tokens":"9"}',
            "max_tokens",
            "Invalid value for 'max_tokens': Expected",
        ),
        (CHAT, b'{"model":"m","messages":[{}],"max_completion_tokens":1.5}', "max_completion_tokens", "got `float`"),
        (COMPLETIONS, b'{"model":"m","prompt":"a","n_predict":true}', "n_predict", "got `bool`"),
        (COMPLETIONS, b'{"model":"m","messages":[{}]}', "prompt", "Missing required parameter: 'prompt'."),
        (EMBEDDINGS, b'{"model":"m","prompt":"hi"}', "input", "Missing required parameter: 'input'."),
        (CHAT, b"[]", None, "Expected `object`, got `array`"),
        (CHAT, b'"model"', None, "Expected `object`, got `str`"),
        (CHAT, b"", None, "not valid JSON"),
        (CHAT, b'{"model":"m","messages":[{}]', None, "not valid JSON"),
        (CHAT, b'{"model":"m","messages":[{}]} trailing', None, "not valid JSON"),
        (CHAT, b'{"model":"\xff","messages":[{}]}', None, "not valid JSON"),
        (CHAT, b"model=m&messages=hi", None, "not valid JSON"),
        (CHAT, b'{"model":"m","messages":' + b"[" * 100_000, None, "not valid JSON"),
    ],
)
def test_every_fault_of_a_request_names_its_field(path: str, body: bytes, param: str | None, said: str) -> None:
    with pytest.raises(BadRequestError) as told:
        peek(path, body)
    assert said in str(told.value)
    assert (told.value.status, told.value.param) == (400, param)


def test_a_look_at_megabytes_copies_only_their_start() -> None:
    content = b"x" * 4_000_000
    found = peek(CHAT, b'{"model":"m","messages":[{"content":"' + content + b'"}]}')
    assert len(bytes(found.messages)) > len(content)


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
