import base64
import json
import math
import struct
from typing import Any

import msgspec
import pytest

from argosy.engines import echo_answers
from argosy.engines.echo_answers import Answer, Fault, find_fault, tokens


def chat(content: Any, *, faults: bool = False, **fields: Any) -> Answer:
    body = {"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": content}], **fields}
    return echo_answers.answer_chat(json.dumps(body).encode(), model="m", number=1, now=7.5, faults=faults)


def test_the_answer_is_the_last_user_message() -> None:
    plain = chat("Hello, old  world").plain()
    assert plain["choices"][0]["message"]["content"] == "Hello, old  world"
    assert plain["choices"][0]["finish_reason"] == "stop"
    assert plain["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def test_parts_of_a_message_are_joined() -> None:
    assert chat([{"type": "text", "text": "a b"}, {"type": "image_url"}]).choices[0].tokens == ("a", " b")


def test_chinese_comes_character_by_character() -> None:
    assert tokens("你好 world。") == ["你", "好", " world。"]


def test_max_tokens_cuts_and_ignore_eos_goes_on() -> None:
    assert chat("a b c", max_tokens=2).choices[0] == echo_answers.Choice(("a", " b"), "length")
    assert chat("a b", max_completion_tokens=5).choices[0].finish_reason == "stop"
    assert len(chat("a b", max_tokens=5, ignore_eos=True).choices[0].tokens) == 5


def test_the_answer_ends_before_the_first_text_of_stop() -> None:
    assert chat("one two three", stop=["three", "two"]).choices[0].tokens == ("one",)
    assert chat("one two", stop="x").choices[0].tokens == ("one", " two")
    assert chat("one", stop="").choices[0].tokens == ("one",)


def test_a_stream_says_the_same_as_the_plain_answer() -> None:
    answer = chat("a b c", n=2, stream_options={"include_usage": True})
    said, usage = ["", ""], None
    for has_token, event in answer.events():
        assert event["model"] == "m"
        for choice in event["choices"]:
            said[choice["index"]] += choice["delta"].get("content", "")
            assert has_token == bool(choice["delta"].get("content"))
        usage = event.get("usage")
    assert said == ["a b c", "a b c"]
    assert usage == answer.usage() == {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}


def test_a_list_of_prompts_is_answered_one_by_one() -> None:
    body = b'{"prompt": ["a b", "c"]}'
    plain = echo_answers.answer_completion(body, model="m", number=1, now=0, faults=True).plain()
    assert [choice["text"] for choice in plain["choices"]] == ["a b", "c"]


def test_embeddings_are_unit_vectors_of_the_text_alone() -> None:
    def embed(**fields: Any) -> Any:
        return echo_answers.answer_embeddings(json.dumps(fields).encode(), model="m", dimensions=8)["data"]

    first, second = (row["embedding"] for row in embed(input=["a", "b"]))
    assert first == embed(input="a")[0]["embedding"] != second
    assert math.hypot(*first) == pytest.approx(1)
    packed = base64.b64decode(embed(input="a", encoding_format="base64", dimensions=3)[0]["embedding"])
    assert len(struct.unpack("<3f", packed)) == 3


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("!crash", Fault("crash")),
        ("please !stall after 3 words", Fault("stall", 3)),
        ("!status 503", Fault("status", status=503)),
        ("nothing!", None),
    ],
)
def test_a_prompt_asks_for_its_fault(text: str, fault: Fault | None) -> None:
    assert find_fault(text) == fault
    assert chat(text).fault is None
    assert chat(text, faults=True).fault == fault


def test_a_request_without_messages_is_no_chat() -> None:
    with pytest.raises(msgspec.DecodeError, match="messages"):
        echo_answers.answer_chat(b'{"model": "m"}', model="m", number=1, now=0, faults=False)


def bound(text: str, schema: Any) -> Any:
    """What echo says to this text as JSON of this schema."""
    asked = chat(text, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    return json.loads(asked.plain()["choices"][0]["message"]["content"])


def test_an_object_is_said_where_json_is_asked_for() -> None:
    answer = chat('a "ship"', response_format={"type": "json_object"})
    assert json.loads("".join(answer.choices[0].tokens)) == {"text": 'a "ship"'}
    assert len(answer.choices[0].tokens) > 1, "in pieces, as a text is"
    assert chat("a ship", response_format={"type": "text"}).choices[0].tokens == ("a", " ship")


def test_of_a_schema_the_least_value_is_said_with_the_text_for_texts() -> None:
    schema = {
        "$defs": {"Mast": {"type": "object", "properties": {"sails": {"type": "integer", "minimum": 2}}}},
        "type": "object",
        "title": "Ship",
        "properties": {
            "name": {"type": "string", "maxLength": 4},
            "crew": {"type": "array", "items": {"type": "string", "minLength": 6}, "minItems": 2},
            "masts": {"type": "array", "items": {"$ref": "#/$defs/Mast"}, "minItems": 1, "maxItems": 3},
            "kind": {"enum": ["brig", "sloop"]},
            "flag": {"const": 7},
            "port": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "depth": {"type": "number", "maximum": -1.5},
            "afloat": {"type": "boolean", "default": True},
            "note": {"type": "string"},
        },
        "required": ["name", "crew", "masts", "kind", "flag", "port", "depth", "afloat"],
        "additionalProperties": False,
    }
    assert bound("Argosy", schema) == {
        **{"name": "Argo", "crew": ["Argosy", "Argosy"], "masts": [{}], "kind": "brig", "flag": 7, "port": None},
        **{"depth": -1.5, "afloat": False},
    }


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"type": "object", "properties": {"x": {"type": "string", "pattern": "^a$"}}}, "pattern"),
        ({"type": "texture"}, "texture"),
        ({"$ref": "#/$defs/nothing"}, "nothing"),
        ({"$ref": "#"}, "wants itself"),
        ({"type": "array", "minItems": 1_000_000}, "minItems"),
    ],
)
def test_a_schema_that_a_value_might_not_be_of_is_refused(schema: Any, fault: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=fault):
        bound("a", schema)
