"""What a look into a request finds, and what it refuses, in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import UNSET

from argosy.errors import BadRequestError
from argosy.protocol.endpoints import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    DETOKENIZE,
    EMBEDDINGS,
    ENDPOINTS,
    MESSAGES,
    RERANK,
    RESPONSES,
    TOKENIZE,
)
from argosy.protocol.peek import ChatPeek, peek
from argosy.protocol.peek_base import Peek

USER = {"role": "user", "content": "hi"}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
ENOUGH: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [USER]},
    COMPLETIONS: {"prompt": "hi"},
    EMBEDDINGS: {"input": "hi"},
    RESPONSES: {"input": "hi"},
    MESSAGES: {"messages": [USER], "max_tokens": 5},
    COUNT_TOKENS: {"messages": [USER]},
    RERANK: {"query": "hi", "documents": ["a"]},
    TOKENIZE: {"content": "hi"},
    DETOKENIZE: {"tokens": [1]},
}


def look(path: str = CHAT, **fields: Any) -> Peek:
    """At a request that is right but for these fields."""
    return peek(path, json.dumps({"model": "m", **ENOUGH[path], **fields}).encode())


def refusal(path: str = CHAT, **fields: Any) -> BadRequestError:
    with pytest.raises(BadRequestError) as told:
        look(path, **fields)
    return told.value


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_look_finds_model_and_stream_at_every_endpoint(path: str) -> None:
    found = look(path, model="a/b", stream=True, unknown={"to": ["us"]})
    assert (found.model, found.stream) == ("a/b", True)


@pytest.mark.parametrize(
    ("path", "body", "model", "stream"),
    [
        (CHAT, b' {"stream" : true, "messages" : [ {"role":"user"} ] , "model" : "a/b", "x": null}\n', "a/b", True),
        (EMBEDDINGS, b'{"model":"m","input":[[1]],"messages":7,"stream":null}', "m", None),
        (CHAT, '{"model":"模型","messages":[{"content":"你好","role":"user"}]}'.encode(), "模型", UNSET),
        (CHAT, b'{"model":"m","messages":[{"role":"us\\u0065r"}]}', "m", UNSET),
    ],
)
def test_a_body_may_be_written_in_any_way(path: str, body: bytes, model: str, stream: object) -> None:
    found = peek(path, body)
    assert (found.model, found.stream) == (model, stream)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (CHAT, {"temperature": 0, "top_p": 1, "presence_penalty": -2, "frequency_penalty": 2.0, "n": 128}),
        (
            CHAT,
            {"temperature": 2, "max_tokens": 1, "max_completion_tokens": 10**9, "n_predict": -1, "stop": ["a"] * 64},
        ),
        (CHAT, {"messages": [{"role": role} for role in ("developer", "system", "assistant", "tool", "function")]}),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
        (CHAT, {"stream": True, "stream_options": {"include_usage": True, "other": 1}, "stop": "x"}),
        (CHAT, {"logprobs": True, "top_logprobs": 20, "response_format": {"type": "json_object"}}),
        (CHAT, {"response_format": SCHEMA, "tools": [WEATHER], "tool_choice": "required"}),
        (CHAT, {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "weather"}}}),
        (CHAT, {"tools": [], "tool_choice": "none"}),
        (COMPLETIONS, {"prompt": ["a", "b"], "logprobs": 0, "echo": False, "suffix": ""}),
        (COMPLETIONS, {"prompt": [1, 2]}),
        (COMPLETIONS, {"prompt": [[1], [2, 3]]}),
        (COMPLETIONS, {"prompt": ""}),
        (EMBEDDINGS, {"input": [[1], [2]], "encoding_format": "base64", "dimensions": 1}),
        (RESPONSES, {"input": [{"role": "user", "content": "hi"}]}),
        (RERANK, {"documents": [{"text": "a"}]}),
    ],
)
def test_what_the_api_allows_is_taken(path: str, fields: dict[str, Any]) -> None:
    look(path, **fields)


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, MESSAGES])
def test_null_is_as_good_as_not_given(path: str) -> None:
    kind = type(look(path))
    optional = set(kind.__struct_fields__) - {"model", *ENOUGH[path]}
    assert look(path, **dict.fromkeys(optional)).model == "m"


@pytest.mark.parametrize(
    ("fields", "param", "code", "said"),
    [
        ({"messages": None}, "messages", "missing_required_parameter", "Missing required parameter: 'messages'."),
        (
            {"messages": []},
            "messages",
            "empty_array",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ),
        (
            {"messages": "hi"},
            "messages",
            "invalid_type",
            "Invalid type for 'messages': expected an array, but got a string instead.",
        ),
        (
            {"messages": [USER, 7]},
            "messages[1]",
            "invalid_type",
            "Invalid type for 'messages[1]': expected an object, but got an integer instead.",
        ),
        (
            {"messages": [{"content": "hi"}]},
            "messages[0].role",
            "missing_required_parameter",
            "Missing required parameter: 'messages[0].role'.",
        ),
        (
            {"messages": [USER, {"role": "robot"}]},
            "messages[1].role",
            "invalid_value",
            "Invalid value: 'robot'. Supported values are: "
            "'assistant', 'developer', 'function', 'system', 'tool', and 'user'.",
        ),
        (
            {"temperature": 99},
            "temperature",
            "decimal_above_max_value",
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 99 instead.",
        ),
        (
            {"temperature": "hot"},
            "temperature",
            "invalid_type",
            "Invalid type for 'temperature': expected a decimal, but got a string instead.",
        ),
        (
            {"max_tokens": 0},
            "max_tokens",
            "integer_below_min_value",
            "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        ),
        (
            {"stop": ["x"] * 65},
            "stop",
            "array_above_max_length",
            "Invalid 'stop': array too long. Expected an array with maximum length 64, but got an array with length 65 "
            "instead.",
        ),
        (
            {"tool_choice": "auto"},
            "tool_choice",
            None,
            "'tool_choice' is only allowed when 'tools' are specified.",
        ),
        (
            {"stream_options": {"include_usage": True}},
            "stream_options",
            None,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        ),
    ],
)
def test_a_fault_is_told_in_openais_words(fields: dict[str, Any], param: str, code: str | None, said: str) -> None:
    error = refusal(**fields)
    assert (error.status, error.param, error.code, str(error)) == (400, param, code, said)


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        (CHAT, {"model": None}, "model"),
        (CHAT, {"model": ""}, "model"),
        (CHAT, {"model": 7}, "model"),
        (CHAT, {"stream": "yes"}, "stream"),
        (CHAT, {"top_p": -0.1}, "top_p"),
        (CHAT, {"presence_penalty": 2.1}, "presence_penalty"),
        (CHAT, {"frequency_penalty": -2.1}, "frequency_penalty"),
        (CHAT, {"n": 0}, "n"),
        (CHAT, {"n": 129}, "n"),
        (CHAT, {"n": 1.5}, "n"),
        (CHAT, {"n": True}, "n"),
        (CHAT, {"n": 10**30}, "n"),
        (CHAT, {"max_tokens": -1}, "max_tokens"),
        (CHAT, {"max_tokens": "9"}, "max_tokens"),
        (CHAT, {"max_completion_tokens": 0}, "max_completion_tokens"),
        (COMPLETIONS, {"n_predict": True}, "n_predict"),
        (CHAT, {"stop": 7}, "stop"),
        (CHAT, {"stop": ["a", None]}, "stop[1]"),
        (CHAT, {"logprobs": 3}, "logprobs"),
        (COMPLETIONS, {"logprobs": True}, "logprobs"),
        (COMPLETIONS, {"logprobs": 21}, "logprobs"),
        (CHAT, {"top_logprobs": 3}, "top_logprobs"),
        (CHAT, {"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        (CHAT, {"stream": True, "stream_options": True}, "stream_options"),
        (CHAT, {"stream": True, "stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        (COMPLETIONS, {"stream_options": {}}, "stream_options"),
        (CHAT, {"response_format": "json"}, "response_format"),
        (CHAT, {"response_format": {}}, "response_format.type"),
        (CHAT, {"response_format": {"type": "xml"}}, "response_format.type"),
        (CHAT, {"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (CHAT, {"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.schema"),
        (CHAT, {"tools": WEATHER}, "tools"),
        (CHAT, {"tools": [{"type": "custom"}]}, "tools[0].type"),
        (CHAT, {"tools": [{"type": "function"}]}, "tools[0].function"),
        (CHAT, {"tools": [WEATHER, {"type": "function", "function": {}}]}, "tools[1].function.name"),
        (CHAT, {"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
        (CHAT, {"tools": [WEATHER], "tool_choice": "maybe"}, "tool_choice"),
        (CHAT, {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
        (CHAT, {"tools": [], "tool_choice": "required"}, "tool_choice"),
        (COMPLETIONS, {"prompt": None}, "prompt"),
        (COMPLETIONS, {"prompt": {}}, "prompt"),
        (COMPLETIONS, {"prompt": []}, "prompt"),
        (COMPLETIONS, {"prompt": ["a", 1]}, "prompt"),
        (COMPLETIONS, {"prompt": [[1], []]}, "prompt[1]"),
        (COMPLETIONS, {"prompt": [1.5]}, "prompt[0]"),
        (EMBEDDINGS, {"input": ""}, "input"),
        (EMBEDDINGS, {"input": ["a", ""]}, "input[1]"),
        (EMBEDDINGS, {"input": [[1], "a"]}, "input"),
        (EMBEDDINGS, {"encoding_format": "int8"}, "encoding_format"),
        (EMBEDDINGS, {"dimensions": 0}, "dimensions"),
        (RESPONSES, {"input": None}, "input"),
        (RESPONSES, {"max_output_tokens": 0}, "max_output_tokens"),
        (MESSAGES, {"messages": [{"role": "tool"}]}, "messages[0].role"),
        (MESSAGES, {"max_tokens": 0}, "max_tokens"),
        (COUNT_TOKENS, {"messages": []}, "messages"),
        (RERANK, {"query": None}, "query"),
        (RERANK, {"documents": []}, "documents"),
        (DETOKENIZE, {"tokens": "1"}, "tokens"),
    ],
)
def test_every_fault_names_its_field(path: str, fields: dict[str, Any], param: str) -> None:
    error = refusal(path, **fields)
    assert (error.status, error.param) == (400, param)
    assert f"'{param.partition('[')[0].partition('.')[0]}" in str(error) or error.code == "invalid_value"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "Invalid type for the request's body: expected an object, but got an array instead."),
        (b'"model"', "Invalid type for the request's body: expected an object, but got a string instead."),
        (b"", "not valid JSON"),
        (b'{"model":"m","messages":[{"role":"user"}]', "not valid JSON"),
        (b'{"model":"m","messages":[{"role":"user"}]} trailing', "not valid JSON"),
        (b'{"model":7,"messages":[{"role":"user"}]', "not valid JSON"),
        (b'{"model":"\xff","messages":[{"role":"user"}]}', "not valid JSON"),
        (b"model=m&messages=hi", "not valid JSON"),
        (b'{"model":"m","messages":' + b"[" * 100_000, "not valid JSON"),
        (b'{"model":"m","x":' + b"[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_no_json_object_has_no_field(body: bytes, said: str) -> None:
    with pytest.raises(BadRequestError) as told:
        peek(CHAT, body)
    assert said in str(told.value)
    assert told.value.param is None


def test_a_look_decodes_no_text() -> None:
    found = peek(CHAT, b'{"model":"m","messages":[{"role":"user","content":"' + b"x" * 4_000_000 + b'"}]}')
    assert isinstance(found, ChatPeek)
    assert found.messages is not None
    assert [vars_of(message) for message in found.messages] == [{"role": "user"}]


def vars_of(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


@pytest.mark.parametrize(
    ("path", "fields", "special"),
    [
        (CHAT, {}, ()),
        (CHAT, {"tools": [WEATHER], "tool_choice": "auto", "parallel_tool_calls": True, "logprobs": False}, ()),
        (CHAT, {"parallel_tool_calls": False, "response_format": {"type": "text"}, "modalities": ["text"]}, ()),
        (CHAT, {"tools": [WEATHER], "tool_choice": "required"}, ("tool_choice",)),
        (CHAT, {"tools": [WEATHER], "tool_choice": WEATHER}, ("tool_choice",)),
        (CHAT, {"tools": [WEATHER], "parallel_tool_calls": False}, ("parallel_tool_calls",)),
        (CHAT, {"logprobs": True, "response_format": SCHEMA}, ("logprobs", "response_format")),
        (CHAT, {"functions": [{}], "modalities": ["text", "audio"]}, ("functions", "audio")),
        (CHAT, {"web_search_options": {}}, ("web_search_options",)),
        (COMPLETIONS, {"echo": False, "suffix": "", "best_of": 1}, ()),
        (COMPLETIONS, {"n": 2, "best_of": 2}, ()),
        (COMPLETIONS, {"echo": True, "suffix": "x", "best_of": 2}, ("best_of", "echo", "suffix")),
        (COMPLETIONS, {"logprobs": 0}, ("logprobs", "logprobs: 0")),
        (EMBEDDINGS, {"dimensions": 8}, ("dimensions",)),
        (EMBEDDINGS, {}, ()),
    ],
)
def test_a_look_tells_what_some_engines_overlook(path: str, fields: dict[str, Any], special: tuple[str, ...]) -> None:
    assert look(path, **fields).special() == special
