"""What a vote is, as the store, the leaderboard and logs have it."""

from __future__ import annotations

from typing import get_args

import msgspec

from argosy.protocol.arena import Kind, Winner

KINDS: tuple[Kind, ...] = get_args(Kind)
MINIMUM_VOTES = 50  # of a model; its rating is preliminary below


class Message(msgspec.Struct, frozen=True, array_like=True):
    role: str
    text: str


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """`conversations`: of sides a and b, where they are kept."""

    id: str
    at: float  # Unix seconds
    kind: Kind
    model_a: str
    model_b: str
    winner: Winner
    language: str
    turns: int = 1
    counted: bool = True
    why_not: str | None = None
    conversations: tuple[list[Message], list[Message]] | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What ratings are made of."""

    model_a: str
    model_b: str
    winner: Winner
