"""Paths of FastChat's surface that mean one of ours: which one, and what their bodies lack for it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from argosy.protocol.endpoints import CHAT, EMBEDDINGS
from argosy.protocol.openai import fields_of, with_fields, with_fields_before

OLD_CHAT = "/api/v1/chat/completions"
OLD_EMBEDDINGS = "/v1/engines/{id:path}/embeddings"
_EMBEDDINGS = re.compile(r"/v1/engines/(.+)/embeddings")


@dataclass(frozen=True, slots=True)
class OldPath:
    """`path`: what is meant. `model`: the one that the path names, for a body that names none."""

    path: str
    model: str = ""

    def body(self, body: bytes) -> bytes:
        """As `path` wants it. Raises BadRequestError for what is no JSON object."""
        if self.path == EMBEDDINGS:
            fields = fields_of(body)
            return body if _named(fields) else with_fields(body, {"model": self.model})
        if b'"repetition_penalty"' in body:
            # As transformers and vLLM call it; llama.cpp has another name for the same.
            given = fields_of(body).get("repetition_penalty")
            if given is not None:
                return with_fields_before(body, {"repeat_penalty": given})
        return body


def old_path(path: str) -> OldPath | None:
    if path == OLD_CHAT:
        return OldPath(CHAT)
    if (found := _EMBEDDINGS.fullmatch(path)) is not None:
        return OldPath(EMBEDDINGS, found[1])
    return None


def _named(fields: dict[str, msgspec.Raw]) -> bool:
    return "model" in fields and bytes(fields["model"]) != b"null"
