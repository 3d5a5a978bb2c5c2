"""A JSON value of a schema, as the engine echo says it: the least that the schema takes, with the words that were sent
for texts. A schema with a keyword that is not named here is refused, since the value might not be of it. Pure.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

_DEPTH = 100  # what refers to itself without end has no least value
_Count = Annotated[int, Meta(ge=0, le=100)]


class Schema(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"ref": "$ref", "defs": "$defs", "dialect": "$schema", "any_of": "anyOf", "one_of": "oneOf"}
    | {"min_items": "minItems", "max_items": "maxItems", "min_length": "minLength", "max_length": "maxLength"}
    | {"additional": "additionalProperties"},
):
    """The keywords of JSON schema that echo heeds, and those that say nothing of a least value."""

    ref: str | None = None
    defs: dict[str, Schema] = {}
    definitions: dict[str, Schema] = {}
    const: Any = UNSET
    enum: list[Any] = []
    any_of: list[Schema] = []
    one_of: list[Schema] = []
    type: str | Annotated[list[str], Meta(min_length=1)] = "object"
    properties: dict[str, Schema] = {}
    required: list[str] = []
    items: Schema | None = None
    min_items: _Count = 0
    min_length: _Count = 0
    max_length: _Count | None = None
    minimum: float | None = None
    maximum: float | None = None

    max_items: Any = None
    additional: Any = None
    dialect: Any = None
    title: Any = None
    description: Any = None
    default: Any = None
    examples: Any = None


def value_of(schema: Schema, text: str) -> Any:
    """Raises msgspec.ValidationError for a schema of which no value is known."""
    return _value(schema, schema, text, _DEPTH)


def _value(schema: Schema, root: Schema, text: str, depth: int) -> Any:
    if not depth:
        raise msgspec.ValidationError("a schema that wants itself again has no least value")
    if schema.ref is not None:
        return _value(_target(schema.ref, root), root, text, depth - 1)
    if schema.const is not UNSET or schema.enum:
        return schema.enum[0] if schema.const is UNSET else schema.const
    if several := schema.any_of or schema.one_of:
        return _value(several[0], root, text, depth - 1)
    return _of_type(schema, root, text, depth - 1)


def _of_type(schema: Schema, root: Schema, text: str, depth: int) -> Any:
    made: Any = None  # null's
    match schema.type if isinstance(schema.type, str) else schema.type[0]:
        case "object":
            wanted = {name: schema.properties.get(name, Schema()) for name in schema.required}
            made = {name: _value(each, root, text, depth) for name, each in wanted.items()}
        case "array":
            made = [_value(schema.items or Schema(), root, text, depth) for _ in range(schema.min_items)]
        case "string":
            made = text.ljust(schema.min_length, ".")[: schema.max_length]
        case "integer" | "number":
            made = _number(schema.minimum, schema.maximum)
        case "boolean":
            made = False
        case "null":
            pass
        case other:
            raise msgspec.ValidationError(f"echo knows no type {other!r} of a schema")
    return made


def _target(reference: str, root: Schema) -> Schema:
    """Where it leads: to definitions alone, and those in them."""
    steps, found = reference.split("/")[1:], root
    try:
        for kind, name in zip(steps[::2], steps[1::2], strict=True):
            found = {"$defs": found.defs, "definitions": found.definitions}[kind][name]
    except (LookupError, ValueError):
        raise msgspec.ValidationError(f"echo finds nothing at the $ref {reference!r}") from None
    return found


def _number(least: float | None, most: float | None) -> float:
    found = 0.0 if least is None or least < 0 else least
    found = found if most is None or most > found else most
    return int(found) if found.is_integer() else found
