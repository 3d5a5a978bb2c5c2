"""A forced tool call asked for by schema, of engines that overlook `tool_choice` but bind an answer to a JSON schema.

Request side, pure: what is set in a body, and what a client hears whose tools' schemas cannot be bound to. What comes
back is made a tool call by tool_calls.py.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from argosy.errors import BadRequestError
from argosy.protocol.peek import ChatPeek
from argosy.protocol.peek_base import Peek

_Object = dict[str, Any]


class _Function(msgspec.Struct):
    name: str
    parameters: _Object | None = None


class _Tool(msgspec.Struct):
    function: _Function


class _Tools(msgspec.Struct):
    tools: list[_Tool]


_TOOLS = msgspec.json.Decoder(_Tools)
# Keywords whose values are schemas by name, and those whose values are no schemas: a "$ref" there is a text.
_SCHEMAS_BY_NAME = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_NO_SCHEMAS = ("const", "enum", "default", "examples")
# llama.cpp's words: where in the schema that it was sent, and what is wrong there.
_FAULT = re.compile(r"JSON schema error at #/\$defs/(\d{1,4})([^:]*): (.*)", re.DOTALL)


def binding(found: ChatPeek, body: bytes) -> _Object:
    """The fields of a body by which its answer is one call of the tools that it forces.

    Raises BadRequestError for tools of which no schema can be made.
    """
    forced = found.forced_tools
    try:
        tools = _TOOLS.decode(body).tools
        parameters = {
            f"{at}": _rebased(_parameters(at, tool.function), f"#/$defs/{at}")
            for at, tool in enumerate(tools)
            if tool.function.name in forced
        }
        calls = [_call(tools[int(at)].function.name, f"#/$defs/{at}") for at in parameters]
        bound = {"name": "tool_call", "schema": {"$defs": parameters, "anyOf": calls}}
        format_ = msgspec.json.encode({"type": "json_schema", "json_schema": bound})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"Invalid 'tools': {error}.", param="tools", code="invalid_value") from None
    fields: _Object = {"response_format": msgspec.Raw(format_)}
    fields["tool_choice"] = "auto"  # the tools stay in the prompt
    if found.stop:
        fields["stop"] = None  # in the middle of a call it would make half a call of it
    return fields


def check_tools(found: Peek, refusal: bytes) -> None:
    """Raises BadRequestError for an engine's refusal to bind an answer to the schemas of the tools that it forces."""
    if not isinstance(found, ChatPeek) or not (forced := found.forced_tools):
        return
    try:
        said = str(msgspec.json.decode(refusal)["error"]["message"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError):
        return
    tools = found.tools or ()
    if (fault := _FAULT.search(said)) and (at := int(fault[1])) < len(tools):
        where, what = fault[2].lstrip("/"), fault[3]
        raise _invalid(at, tools[at].function.name, f"at {where}: {what}" if where else what)
    if "grammar" in said or "schema" in said:  # of any of them: one that is too large
        names = ", ".join(forced)
        raise BadRequestError(
            f"Invalid schema for function {names}: the engine can bind no answer to it. It says: {said}",
            param="tools",
            code="invalid_function_parameters",
        )


def _parameters(at: int, function: _Function) -> _Object:
    schema = {"type": "object", **(function.parameters or {"properties": {}})}
    if schema["type"] != "object":
        raise _invalid(at, function.name, f"""type must be "object", not {schema["type"]!r}""")
    return schema


def _invalid(at: int, name: str, what: str) -> BadRequestError:
    return BadRequestError(
        f"Invalid schema for function '{name}': {what}.",
        param=f"tools[{at}].function.parameters",
        code="invalid_function_parameters",
    )


def _call(name: str, parameters: str) -> _Object:
    # Said in this order: who is called is known before the arguments come.
    properties = {"name": {"const": name}, "arguments": {"$ref": parameters}}
    return {
        "type": "object",
        "properties": properties,
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _rebased(schema: Any, base: str) -> Any:
    """A schema that lies at `base` of another one: its references into itself lead there."""
    if isinstance(schema, list):
        return [_rebased(each, base) for each in schema]
    if not isinstance(schema, dict):
        return schema
    moved: _Object = {}
    for keyword, value in schema.items():
        if keyword == "$ref" and isinstance(value, str) and value.startswith("#"):
            moved[keyword] = base + value[1:]
        elif keyword in _SCHEMAS_BY_NAME and isinstance(value, dict):
            moved[keyword] = {name: _rebased(each, base) for name, each in value.items()}
        elif keyword in _NO_SCHEMAS:
            moved[keyword] = value
        else:
            moved[keyword] = _rebased(value, base)
    return moved
