"""What a deployment makes of a request, and that the rest of it keeps its bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from argosy.errors import BadRequestError
from argosy.gateway.shaping import shaped
from argosy.protocol import endpoints
from argosy.protocol.deployment import DeploymentRecord, Shaping
from argosy.protocol.endpoints import CHAT, COMPLETIONS, EMBEDDINGS
from argosy.protocol.peek import peek

MESSAGES = [{"role": "user", "content": "hi"}]


def sent(body: bytes, path: str = CHAT, *, task: str = "generate", **shaping: Any) -> bytes:
    record = DeploymentRecord(name="m", revision=1, task=task, shaping=Shaping(**shaping))
    return shaped(record, path, peek(path, body), body)


def chat(fields: dict[str, Any], **shaping: Any) -> dict[str, Any]:
    """What the engine gets of a chat with these fields, besides its model and messages."""
    body = json.dumps({"model": "m", "messages": MESSAGES, **fields}).encode()
    got: dict[str, Any] = json.loads(sent(body, **shaping))
    assert (got.pop("model"), got.pop("messages")) == ("m", MESSAGES)
    return got


def test_a_record_without_wishes_leaves_every_byte() -> None:
    body = b'{"model":"m","messages":[{"role":"user"}]}'
    assert shaped(DeploymentRecord(name="m", revision=1), CHAT, peek(CHAT, body), body) is body


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens", "n_predict"])
def test_a_request_that_bounds_its_answer_keeps_every_byte(field: str) -> None:
    body = b'{"model":"m","messages":[{"role":"user"}],"%b":9}' % field.encode()
    assert sent(body, max_tokens=2048) is body


@pytest.mark.parametrize(
    "body",
    [b'{"model":"m","messages":[{"role":"user"}]}', b' \n{ "model" : "m", "messages":[ {"role":"user", "a": "{"} ] } '],
)
def test_a_bound_that_is_missing_goes_in_front_and_the_rest_keeps_its_bytes(body: bytes) -> None:
    got = sent(body, max_tokens=2048)
    assert got == b'{"max_tokens":2048,' + body.lstrip()[1:]
    assert json.loads(got) == {"max_tokens": 2048, **json.loads(body)}


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens", "n_predict"])
def test_an_explicit_null_names_no_bound(field: str) -> None:
    assert chat({field: None}, max_tokens=7)["max_tokens"] == 7


def test_the_default_goes_into_the_field_that_the_deployment_names() -> None:
    assert chat({}, max_tokens=7, bound="max_completion_tokens") == {"max_completion_tokens": 7}
    assert chat({"max_completion_tokens": None}, max_tokens=7, bound="max_completion_tokens") == {
        "max_completion_tokens": 7
    }


@pytest.mark.parametrize(("asked", "got"), [(5, 5), (10, 10), (11, 10), (10**30, 10)])
@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_what_is_above_the_ceiling_is_lowered_to_it(field: str, asked: int, got: int) -> None:
    assert chat({field: asked}, ceiling=10, max_tokens=10) == {field: got}


def test_every_bound_of_a_request_is_lowered() -> None:
    fields = {"max_tokens": 99, "max_completion_tokens": 3, "n_predict": -1}
    assert chat(fields, ceiling=10) == {"max_tokens": 10, "max_completion_tokens": 3, "n_predict": 10}


@pytest.mark.parametrize(("asked", "got"), [(4, 4), (99, 10), (-1, 10)])
def test_a_bound_that_only_llama_cpp_knows_is_told_to_all_engines(asked: int, got: int) -> None:
    assert chat({"n_predict": asked}, ceiling=10) == {"n_predict": got, "max_tokens": got}


def test_a_default_is_for_a_request_that_does_not_name_the_field() -> None:
    defaults = {"temperature": 0.2, "stop": ["\n"]}
    assert chat({"top_p": 1}, defaults=defaults) == {"top_p": 1, **defaults}
    assert chat({"temperature": 1, "stop": None}, defaults=defaults) == {"temperature": 1, "stop": ["\n"]}
    assert chat({"temperature": 1, "stop": "x"}, defaults=defaults) == {"temperature": 1, "stop": "x"}


def test_a_field_that_is_named_deeper_down_is_not_named() -> None:
    body = b'{"model":"m","messages":[{"role":"user","temperature":1}],"x":{"temperature":3}}'
    got = json.loads(sent(body, defaults={"temperature": 0.2}))
    assert (got["temperature"], got["messages"], got["x"]) == (
        0.2,
        [{"role": "user", "temperature": 1}],
        {"temperature": 3},
    )


def test_a_field_named_in_a_clever_spelling_still_wins() -> None:
    assert json.loads(
        sent(b'{"model":"m","messages":[{"role":"user"}],"temp\\u0065rature":1}', defaults={"temperature": 0.2})
    ) == {
        "model": "m",
        "messages": [{"role": "user"}],
        "temperature": 1,
    }


def test_other_values_keep_their_bytes_also_where_a_field_is_replaced() -> None:
    body = b'{"seed": 1.50e2, "model":"m", "max_tokens":null, "messages":[ {"role":"user","content":"\\u4f60\\/"} ]}'
    got = sent(body, max_tokens=5)
    assert b"1.50e2" in got
    assert b'[ {"role":"user","content":"\\u4f60\\/"} ]' in got


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_chat_with_instructions_of_its_own_gets_no_others(role: str) -> None:
    body = json.dumps({"model": "m", "messages": [*MESSAGES, {"role": role, "content": "x"}]}).encode()
    assert sent(body, system_prompt="Be kind.") is body


@pytest.mark.parametrize("messages", [MESSAGES, [*MESSAGES, {"role": "assistant", "content": None}]])
def test_a_chat_without_instructions_gets_the_deployments(messages: list[Any]) -> None:
    body = json.dumps({"model": "m", "messages": messages}).encode()
    got = json.loads(sent(body, system_prompt='Say "你好".', max_tokens=3))
    assert got["messages"] == [{"role": "system", "content": 'Say "你好".'}, *messages]
    assert got["max_tokens"] == 3


def test_a_completion_has_no_place_for_instructions() -> None:
    body = b'{"model":"m","prompt":"a"}'
    assert sent(body, COMPLETIONS, system_prompt="x") is body
    assert json.loads(sent(body, COMPLETIONS, max_tokens=4, system_prompt="x"))["max_tokens"] == 4


def test_wishes_for_answers_are_not_for_embeddings_and_the_other_way_round() -> None:
    vector, chat = b'{"model":"m","input":"a"}', b'{"model":"m","messages":[{"role":"user"}]}'
    assert sent(vector, EMBEDDINGS, max_tokens=4, defaults={"temperature": 1}) is vector
    got = sent(vector, EMBEDDINGS, task="embed", defaults={"encoding_format": "float"})
    assert got == b'{"encoding_format":"float","model":"m","input":"a"}'
    assert sent(chat, CHAT, task="embed", defaults={"encoding_format": "float"}) is chat


def test_what_nobody_can_read_is_a_bad_request() -> None:
    with pytest.raises(BadRequestError, match="not valid JSON"):
        sent(b'{"model":"m","messages":[{"role":"user"}],"\xff":1,"max_tokens":null}', max_tokens=4)


@pytest.mark.parametrize(
    ("path", "fields", "bound"),
    [
        (endpoints.RESPONSES, {"input": "hi"}, "max_output_tokens"),
        (endpoints.MESSAGES, {"messages": MESSAGES}, "max_tokens"),
    ],
)
def test_other_surfaces_are_bounded_by_fields_of_their_own(path: str, fields: dict[str, Any], bound: str) -> None:
    def got(**more: Any) -> Any:
        return json.loads(sent(json.dumps({"model": "m", **fields, **more}).encode(), path, max_tokens=7, ceiling=10))

    assert got()[bound] == got(**{bound: None})[bound] == 7
    assert (got(**{bound: 9})[bound], got(**{bound: 99})[bound]) == (9, 10)


@pytest.mark.parametrize(
    ("path", "fields", "instructions"),
    [
        (endpoints.RESPONSES, {"input": "hi"}, "instructions"),
        (endpoints.MESSAGES, {"messages": MESSAGES}, "system"),
    ],
)
def test_other_surfaces_get_the_system_prompt_and_what_means_the_same_there(
    path: str, fields: dict[str, Any], instructions: str
) -> None:
    def got(**more: Any) -> Any:
        body = json.dumps({"model": "m", **fields, **more}).encode()
        return json.loads(sent(body, path, system_prompt="Be kind.", defaults={"temperature": 0.2, "stop": "x"}))

    assert got() == {"temperature": 0.2, "model": "m", **fields, instructions: "Be kind."}
    assert got(**{instructions: "Be quick."})[instructions] == "Be quick."


def test_what_generates_nothing_keeps_every_byte() -> None:
    body = b'{"model":"m","content":"hi"}'
    assert sent(body, endpoints.TOKENIZE, max_tokens=7, system_prompt="x", defaults={"temperature": 1}) is body
