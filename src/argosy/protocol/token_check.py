"""What FastChat's /api/v1/token_check is asked and answers: whether a prompt and its answer fit a model's context."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

PATH = "/api/v1/token_check"
MOST_PROMPTS = 1000


class TokenCheckPrompt(msgspec.Struct, frozen=True):
    model: str
    prompt: str
    max_tokens: Annotated[int, Meta(ge=0)]


class TokenCheckRequest(msgspec.Struct, frozen=True):
    prompts: Annotated[list[TokenCheckPrompt], Meta(min_length=1, max_length=MOST_PROMPTS)]


class TokenCheckResult(msgspec.Struct, frozen=True, rename="camel"):
    fits: bool
    token_count: int
    context_length: int


class TokenCheckAnswer(msgspec.Struct, frozen=True):
    prompts: list[TokenCheckResult]
