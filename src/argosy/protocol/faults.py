"""What is wrong with a request, in OpenAI's words: the first value that does not fit the structs of peek.py.

Types and ranges stand in those structs alone. msgspec refuses with words of its own; whoever asks for the OpenAI API
knows its sentences and codes, so a refused body is walked here once more beside its type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from argosy.errors import BadRequestError

_NAMES: dict[type[inspect.Type], tuple[type | tuple[type, ...], str]] = {
    inspect.StrType: (str, "a string"),
    inspect.LiteralType: (str, "a string"),
    inspect.BoolType: (bool, "a boolean"),
    inspect.IntType: (int, "an integer"),
    inspect.FloatType: ((int, float), "a decimal"),
    inspect.ListType: (list, "an array"),
    inspect.StructType: (dict, "an object"),
    inspect.DictType: (dict, "an object"),
    inspect.NoneType: (type(None), "null"),
}
_GOT = {str: "a string", bool: "a boolean", int: "an integer", float: "a decimal", list: "an array", dict: "an object"}


def fault_of(kind: type[msgspec.Struct], body: bytes) -> BadRequestError | None:
    """The first fault, naming its field; None where only msgspec sees one (a number that no machine can hold)."""
    return _fault(inspect.type_info(kind), msgspec.json.decode(body), "")


def refusal_of(kind: type[msgspec.Struct], body: bytes, error: Exception) -> BadRequestError:
    """Of a body that could not be decoded as `kind`. `error`: what msgspec said."""
    try:
        fault = fault_of(kind, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as unreadable:
        return BadRequestError(f"The request's body is not valid JSON: {unreadable}")
    return fault or BadRequestError(f"The request's body cannot be read: {error}.")


def wrong_type(where: str, expected: str, value: Any) -> BadRequestError:
    """`where`: the field's path; "" for the body itself."""
    what = f"'{where}'" if where else "the request's body"
    return BadRequestError(
        f"Invalid type for {what}: expected {expected}, but got {_GOT.get(type(value), 'null')} instead.",
        param=where or None,
        code="invalid_type",
    )


def _fault(kind: inspect.Type, value: Any, where: str) -> BadRequestError | None:
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    fitting = next((each for each in kinds if _takes(each, value)), None)
    if fitting is None:
        names = [_NAMES[type(each)][1] for each in kinds if not isinstance(each, inspect.NoneType)]
        return wrong_type(where, _listed(list(dict.fromkeys(names)), "or"), value)
    check = _CHECKS.get(type(fitting))
    return check(fitting, value, where) if check else None


def _takes(kind: inspect.Type, value: Any) -> bool:
    wanted = _NAMES[type(kind)][0]
    return isinstance(value, wanted) and (not isinstance(value, bool) or wanted is bool)


def _of_literal(kind: inspect.LiteralType, value: str, where: str) -> BadRequestError | None:
    if value in kind.values:
        return None
    supported = _listed([f"'{each}'" for each in kind.values], "and")
    verb = "values are" if len(kind.values) > 1 else "value is"
    return BadRequestError(
        f"Invalid value: '{value}'. Supported {verb}: {supported}.", param=where, code="invalid_value"
    )


def _of_number(kind: inspect.IntType | inspect.FloatType, value: float, where: str) -> BadRequestError | None:
    whole = isinstance(kind, inspect.IntType)
    name = "integer" if whole else "decimal"
    if kind.ge is not None and value < kind.ge:
        code = "decimal_below_min_value"
        if whole:
            code = "integer_below_min_value"
        text = f"{name} below minimum value. Expected a value >= {kind.ge:g}"
    elif kind.le is not None and value > kind.le:
        code = "decimal_above_max_value"
        if whole:
            code = "integer_above_max_value"
        text = f"{name} above maximum value. Expected a value <= {kind.le:g}"
    else:
        return None
    return BadRequestError(f"Invalid '{where}': {text}, but got {value} instead.", param=where, code=code)


def _of_text(kind: inspect.StrType, value: str, where: str) -> BadRequestError | None:
    if len(value) >= (kind.min_length or 0):
        return None
    return BadRequestError(
        f"Invalid '{where}': empty string. Expected a string with minimum length 1, but got an empty string instead.",
        param=where,
        code="empty_string",
    )


def _of_list(kind: inspect.ListType, value: list[Any], where: str) -> BadRequestError | None:
    if len(value) < (kind.min_length or 0):
        return BadRequestError(
            f"Invalid '{where}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param=where,
            code="empty_array",
        )
    if kind.max_length is not None and len(value) > kind.max_length:
        return BadRequestError(
            f"Invalid '{where}': array too long. Expected an array with maximum length {kind.max_length}, but got an "
            f"array with length {len(value)} instead.",
            param=where,
            code="array_above_max_length",
        )
    faults = (_fault(kind.item_type, each, f"{where}[{index}]") for index, each in enumerate(value))
    return next(filter(None, faults), None)


def _of_object(kind: inspect.StructType, value: dict[str, Any], where: str) -> BadRequestError | None:
    for field in kind.fields:
        name = f"{where}.{field.encode_name}" if where else field.encode_name
        if field.encode_name in value:
            if fault := _fault(field.type, value[field.encode_name], name):
                return fault
        elif field.required:
            return BadRequestError(
                f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
            )
    return None


_CHECKS: dict[type[inspect.Type], Callable[[Any, Any, str], BadRequestError | None]] = {
    inspect.LiteralType: _of_literal,
    inspect.IntType: _of_number,
    inspect.FloatType: _of_number,
    inspect.StrType: _of_text,
    inspect.ListType: _of_list,
    inspect.StructType: _of_object,
}


def _listed(words: Sequence[str], joint: str) -> str:
    if len(words) < 3:
        return f" {joint} ".join(words)
    return f"{', '.join(words[:-1])}, {joint} {words[-1]}"
