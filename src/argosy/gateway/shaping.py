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
from argosy.protocol.endpoints import MESSAGES, RESPONSES
from argosy.protocol.openai import BOUNDS, fields_of, with_fields, with_fields_before
from argosy.protocol.peek import ChatPeek, EmbeddingPeek, Generation
from argosy.protocol.peek_base import Peek

# Of the surfaces that are not OpenAI's chats and completions: the field that bounds an answer, that of the system
# prompt, and those of `defaults` that mean the same there.
_ELSEWHERE = {RESPONSES: ("max_output_tokens", "instructions"), MESSAGES: ("max_tokens", "system")}
_MEANT_EVERYWHERE = frozenset({"temperature", "top_p", "top_k", "min_p", "seed"})


def shaped(record: DeploymentRecord, path: str, found: Peek, body: bytes) -> bytes:
    """The body as the deployment wants it. `found`: what `peek` saw in this body; all else of it keeps its bytes."""
    shaping = record.shaping
    if shaping is None or isinstance(found, EmbeddingPeek) is not (record.task == "embed"):
        return body  # what is asked for answers makes no sense for vectors, and the other way round
    missing: dict[str, Any] = {}  # not in the body: can go in front
    changed: dict[str, Any] = {}  # in it
    if isinstance(found, Generation):
        tokens, ceiling = found.max_tokens, shaping.ceiling
        alone = found.max_completion_tokens is UNSET is found.n_predict
        if alone and not shaping.defaults and not shaping.system_prompt:
            # The two that nearly all requests are, quickly: bounded as it may be, or by nothing.
            if type(tokens) is int and (ceiling is None or tokens <= ceiling):
                return body
            if tokens is UNSET and shaping.max_tokens is not None:
                return with_fields_before(body, {shaping.bound: shaping.max_tokens})
        _bound(shaping, found, missing, changed)
        _fill(shaping.defaults, body, missing, changed)
        if isinstance(found, ChatPeek) and shaping.system_prompt is not None:
            _instruct(shaping.system_prompt, found, body, changed)
    elif isinstance(found, EmbeddingPeek):
        _fill(shaping.defaults, body, missing, changed)
    elif path in _ELSEWHERE:
        _shape_elsewhere(path, shaping, found, body, missing=missing, changed=changed)
    if changed:
        return with_fields(body, missing | changed)
    return with_fields_before(body, missing) if missing else body


def _bound(shaping: Shaping, found: Generation, missing: dict[str, Any], changed: dict[str, Any]) -> None:
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


def _shape_elsewhere(
    path: str, shaping: Shaping, found: Peek, body: bytes, *, missing: dict[str, Any], changed: dict[str, Any]
) -> None:
    bound, instructions = _ELSEWHERE[path]
    tokens = getattr(found, bound)
    if isinstance(tokens, int):
        if shaping.ceiling is not None and tokens > shaping.ceiling:
            changed[bound] = shaping.ceiling
    elif shaping.max_tokens is not None:
        (missing if tokens is UNSET else changed)[bound] = shaping.max_tokens
    if shaping.system_prompt is not None and getattr(found, instructions) is None:
        changed[instructions] = shaping.system_prompt
    everywhere = {name: value for name, value in shaping.defaults.items() if name in _MEANT_EVERYWHERE}
    _fill(everywhere, body, missing, changed)


def _fill(defaults: Mapping[str, Any], body: bytes, missing: dict[str, Any], changed: dict[str, Any]) -> None:
    if not defaults:
        return
    if not any(b'"%b"' % name.encode() in body for name in defaults):
        missing.update(defaults)  # named nowhere, not even in a message: no need to look closer
        return
    fields = fields_of(body)
    for name, value in defaults.items():
        if name not in fields:
            missing[name] = value
        elif bytes(memoryview(fields[name])[:5]) == b"null":
            changed[name] = value


def _instruct(prompt: str, found: ChatPeek, body: bytes, changed: dict[str, Any]) -> None:
    if all(message.role not in ("system", "developer") for message in found.messages or ()):
        own = msgspec.json.encode({"role": "system", "content": prompt})
        others = bytes(fields_of(body)["messages"])[1:]
        changed["messages"] = msgspec.Raw(b"[" + own + b"," + others)
