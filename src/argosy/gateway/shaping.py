"""Shapes a request as its deployment asks: default fields, a bound of the answer's length, a system prompt. Pure.

Owns which request gets what; the deployment's wishes are in its record (protocol/deployment.py). Most requests need
nothing, or only their bound, which is put in front of the fields they have: no body is decoded a second time for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from argosy.protocol.deployment import DeploymentRecord, Shaping
from argosy.protocol.openai import BOUNDS, CHAT, EMBEDDINGS, Peek, fields_of, with_fields, with_fields_before


class _Message(msgspec.Struct):
    role: str | None = None


_MESSAGES = msgspec.json.Decoder(list[_Message])


def shaped(record: DeploymentRecord, path: str, found: Peek, body: bytes) -> bytes:
    """The body as the deployment wants it. `found`: what `peek` saw in this body; all else of it keeps its bytes."""
    shaping = record.shaping
    if shaping is None or (path == EMBEDDINGS) is not (record.task == "embed"):
        return body  # what is asked for answers makes no sense for vectors, and the other way round
    tokens, ceiling = found.max_tokens, shaping.ceiling
    if found.max_completion_tokens is UNSET is found.n_predict and not shaping.defaults and not shaping.system_prompt:
        # The two that nearly all requests are, quickly: bounded as it may be, or by nothing.
        if type(tokens) is int and (ceiling is None or 0 <= tokens <= ceiling):
            return body
        if tokens is UNSET and shaping.max_tokens is not None:
            return with_fields_before(body, {shaping.bound: shaping.max_tokens})
    missing: dict[str, Any] = {}  # not in the body: can go in front
    changed: dict[str, Any] = {}  # in it
    if path != EMBEDDINGS:
        _bound(shaping, found, missing, changed)
    if shaping.defaults:
        _fill(shaping.defaults, body, missing, changed)
    if path == CHAT and shaping.system_prompt is not None:
        _instruct(shaping.system_prompt, found.messages, changed)
    if changed:
        return with_fields(body, missing | changed)
    return with_fields_before(body, missing) if missing else body


def _bound(shaping: Shaping, found: Peek, missing: dict[str, Any], changed: dict[str, Any]) -> None:
    given = (found.max_tokens, found.max_completion_tokens, found.n_predict)
    named = {field: value for field, value in zip(BOUNDS, given, strict=True) if isinstance(value, int)}
    if not named:
        if shaping.max_tokens is not None:
            target = missing if given[BOUNDS.index(shaping.bound)] is UNSET else changed
            target[shaping.bound] = shaping.max_tokens
    elif (ceiling := shaping.ceiling) is not None:
        lowered = {field: ceiling for field, value in named.items() if not 0 <= value <= ceiling}
        changed.update(lowered)
        if list(named) == ["n_predict"]:  # llama.cpp's own: another engine would not see it, and go on to the end
            target = missing if found.max_tokens is UNSET else changed
            target["max_tokens"] = lowered.get("n_predict", named["n_predict"])


def _fill(defaults: Mapping[str, Any], body: bytes, missing: dict[str, Any], changed: dict[str, Any]) -> None:
    if not any(b'"%b"' % name.encode() in body for name in defaults):
        missing.update(defaults)  # named nowhere, not even in a message: no need to look closer
        return
    fields = fields_of(body)
    for name, value in defaults.items():
        if name not in fields:
            missing[name] = value
        elif bytes(memoryview(fields[name])[:5]) == b"null":
            changed[name] = value


def _instruct(prompt: str, messages: msgspec.Raw, changed: dict[str, Any]) -> None:
    try:
        roles = {message.role for message in _MESSAGES.decode(messages)}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # no messages of any API: the engine says what is wrong with them
    if roles.isdisjoint(("system", "developer")):
        own = msgspec.json.encode({"role": "system", "content": prompt})
        others = bytes(messages)[1:]
        changed["messages"] = msgspec.Raw(b"[" + own + (b"," if roles else b"") + others)
