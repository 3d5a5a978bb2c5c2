"""What an engine is asked for a forced tool call, and what a client hears whose tools' schemas it refuses."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from argosy.errors import BadRequestError
from argosy.gateway.tool_schema import binding, check_tools
from argosy.protocol.endpoints import CHAT
from argosy.protocol.openai import with_fields
from argosy.protocol.peek import ChatPeek, peek


def tool(name: str, parameters: Any = None) -> dict[str, Any]:
    told = {"name": name} if parameters is None else {"name": name, "parameters": parameters}
    return {"type": "function", "function": told}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def request(*tools: Any, choice: Any = "required", **more: Any) -> tuple[ChatPeek, bytes]:
    messages = [{"role": "user", "content": "hi"}]
    body = json.dumps({"model": "m", "messages": messages, "tools": tools, "tool_choice": choice, **more}).encode()
    found = peek(CHAT, body)
    assert isinstance(found, ChatPeek)
    return found, body


def bound(*tools: Any, choice: Any = "required") -> Any:
    return msgspec.json.decode(binding(*request(*tools, choice=choice))["response_format"])["json_schema"]["schema"]


def objects(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def refusal(message: str) -> bytes:
    return json.dumps({"error": {"code": 400, "message": message}}).encode()


def test_the_answer_is_one_call_of_any_tool_its_name_before_its_arguments() -> None:
    schema = bound(tool("add", objects(a={"type": "integer"})), tool("now"))
    assert schema["$defs"] == {"0": objects(a={"type": "integer"}), "1": objects()}
    assert [
        (each["properties"]["name"]["const"], each["properties"]["arguments"]["$ref"]) for each in schema["anyOf"]
    ] == [("add", "#/$defs/0"), ("now", "#/$defs/1")]
    for each in schema["anyOf"]:
        assert (list(each["properties"]), each["required"]) == (["name", "arguments"],) * 2


def test_a_named_function_alone_can_be_called() -> None:
    schema = bound(tool("add"), tool("now"), choice=named("now"))
    assert (list(schema["$defs"]), len(schema["anyOf"])) == (["1"], 1)


def test_the_tools_stay_in_the_prompt_and_no_stop_text_cuts_a_call() -> None:
    assert binding(*request(tool("now")))["tool_choice"] == "auto"
    assert "stop" not in binding(*request(tool("now")))
    assert binding(*request(tool("now"), stop=["}"]))["stop"] is None


def test_a_schemas_references_into_itself_lead_to_where_it_lies() -> None:
    person = objects(
        mother={"$ref": "#"},
        home={"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]},
        enum={"$ref": "#/$defs/Place"},  # the name of a property
        note={"const": {"$ref": "#/a text"}},
    )
    moved = bound(tool("now"), tool("greet", {**person, "$defs": {"Place": objects()}}))["$defs"]["1"]["properties"]
    assert moved["mother"] == {"$ref": "#/$defs/1"}
    assert moved["home"]["anyOf"][0] == moved["enum"] == {"$ref": "#/$defs/1/$defs/Place"}
    assert moved["note"] == {"const": {"$ref": "#/a text"}}


@pytest.mark.parametrize("given", [None, {}, {"properties": {}}])
def test_a_tool_that_takes_nothing_is_called_with_an_empty_object(given: Any) -> None:
    assert bound(tool("now", given))["$defs"]["0"] == objects()


def test_arguments_are_an_object() -> None:
    with pytest.raises(BadRequestError, match="Invalid schema for function 'bad': type must be \"object\"") as told:
        bound(tool("now"), tool("bad", {"type": "array"}))
    assert (told.value.param, told.value.code) == ("tools[1].function.parameters", "invalid_function_parameters")


@pytest.mark.parametrize("parameters", ["text", [1], 7])
def test_what_is_no_schema_is_refused(parameters: Any) -> None:
    with pytest.raises(BadRequestError, match="Invalid 'tools'"):
        bound(tool("bad", parameters))


def test_a_schema_is_bound_to_or_refused_however_deep_it_is() -> None:
    _, body = request(tool("deep", objects(x="DEEP")))
    ends = []
    for depth in range(100, 1200, 7):
        deep = body.replace(b'"DEEP"', b'{"items":' * depth + b"{}" + b"}" * depth)
        try:
            found = peek(CHAT, deep)
            assert isinstance(found, ChatPeek)
            with_fields(deep, binding(found, deep))
            ends.append("bound")
        except BadRequestError:
            ends.append("refused")
    assert ends == sorted(ends)
    assert {*ends} == {"bound", "refused"}


def test_an_engines_refusal_names_the_tool_and_the_place() -> None:
    found, _ = request(tool("now"), tool("bad"))
    said = "No parser: JSON schema error at #/$defs/1/properties/x: unrecognized type foo"
    with pytest.raises(BadRequestError, match="for function 'bad': at properties/x: unrecognized type foo") as told:
        check_tools(found, refusal(said))
    assert told.value.param == "tools[1].function.parameters"


def test_a_place_in_no_tool_is_of_any_of_them() -> None:
    found, _ = request(tool("now"), tool("bad"))
    with pytest.raises(BadRequestError, match="for function now, bad: the engine can bind no answer"):
        check_tools(found, refusal("JSON schema error at #/$defs/7/properties/x: unrecognized type foo"))


def test_a_grammar_that_is_too_large_names_all_that_were_in_it() -> None:
    found, _ = request(tool("now"), tool("long"))
    with pytest.raises(BadRequestError, match="function now, long: the engine can bind no answer"):
        check_tools(found, refusal("Failed to initialize samplers: failed to parse grammar"))


@pytest.mark.parametrize("choice", ["auto", "none", None])
def test_other_requests_refusals_are_not_looked_at(choice: Any) -> None:
    found, _ = request(tool("now"), choice=choice)
    check_tools(found, refusal("failed to parse grammar"))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"error": 1}', refusal("the request exceeds the context size")])
def test_a_refusal_of_another_kind_is_left_as_it_is(data: bytes) -> None:
    found, _ = request(tool("now"))
    check_tools(found, data)
