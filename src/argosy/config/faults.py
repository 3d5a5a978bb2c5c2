"""From pydantic's findings to faults: what is wrong, with which value, what was meant. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from argosy.config.schema import MISFIT

Finding = tuple[tuple[str | int, ...], str]  # where, and what is wrong there

# By pydantic's error type; {got} is the value, the rest comes from the error's context.
_SENTENCES = {
    "missing": "missing",
    "greater_than": "must be more than {gt:g}, got {got}",
    "greater_than_equal": "must be at least {ge:g}, got {got}",
    "less_than": "must be less than {lt:g}, got {got}",
    "less_than_equal": "must be at most {le:g}, got {got}",
    "finite_number": "must be a finite number, got {got}",
    "int_from_float": "must be a whole number, got {got}",
    "int_parsing": "must be a whole number, got {got}",
    "int_type": "must be a whole number, got {got}",
    "truth_for_number": "must be a number, got {got}",
    "float_parsing": "must be a number, got {got}",
    "float_type": "must be a number, got {got}",
    "bool_parsing": "must be true or false, got {got}",
    "bool_type": "must be true or false, got {got}",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list such as [a, b], got {got}",
    "list_type": "must be a list such as [a, b], got {got}",
    "dict_type": "must be a mapping of names to values, got {got}",
    "model_type": "must be a mapping of names to values, got {got}",
    "model_attributes_type": "must be a mapping of names to values, got {got}",
}


def findings(error: ValidationError, model: type[BaseModel]) -> list[Finding]:
    """All of them but fields that do not go together: `load.py` looks for those itself, also beside other faults."""
    return [
        (tuple(part for part in detail["loc"] if part != "[key]"), _explained(detail, model))
        for detail in error.errors(include_url=False)
        if detail["type"] != MISFIT
    ]


def none_of(value: object, known: Iterable[str]) -> str:
    """'llamacpp' is none of llama.cpp, command; did you mean llama.cpp?"""
    names = list(known)
    close = _closest(str(value), names)
    return f"{shown(value)} is none of {', '.join(names)}" + (f"; did you mean {close}?" if close else "")


def shown(value: object) -> str:
    """A value as it may stand in a sentence."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}…{text[-1]}"


def _explained(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, got, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(str(detail["loc"][-1]), _fields(model, detail["loc"][:-1]))
    if kind == "literal_error":
        return none_of(got, re.findall(r"'([^']*)'", context["expected"]))
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_type":
        return f"must be a text, got {shown(got)}" + (
            "" if isinstance(got, dict | list | None) else "; put it in quotes"
        )
    if sentence := _SENTENCES.get(kind):
        return sentence.format(got=shown(got), **context)
    return f"{detail['msg'].lower()}, got {shown(got)}"


def _unknown(field: str, known: list[str]) -> str:
    close = _closest(field, known)
    if close:
        return f"unknown; did you mean {close}?"
    return f"unknown; known here: {', '.join(known)}" if known else "unknown"


def _closest(word: str, known: list[str]) -> str | None:
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def _fields(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The fields known at a place: ("deployments", "qwen") → those of Deployment."""
    at: type[BaseModel] | None = model
    for part in location:
        if at is None:
            return []
        field = at.model_fields.get(str(part))
        if field is not None:  # else the part is a key of a mapping of models, or an index
            at = _model_in(field.annotation)
    return list(at.model_fields) if at else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)
