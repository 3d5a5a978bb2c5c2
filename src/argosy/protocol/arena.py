"""What is asked of the arena and what it answers, under /argosy/v1/arena. The leaderboard is arena/leaderboard.py's."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

PATH = "/argosy/v1/arena"
BATTLES = f"{PATH}/battles"
SIDE_CHAT = f"{BATTLES}/{{id}}/sides/{{side}}/chat"
VOTE = f"{BATTLES}/{{id}}/vote"
NAMED_VOTES = f"{PATH}/votes"
LEADERBOARD = f"{PATH}/leaderboard"
EXPORT = f"{PATH}/export"
IMPORT = f"{PATH}/import"

Winner = Literal["a", "b", "tie", "both_bad"]
Kind = Literal["anonymous", "named"]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,5}$")]  # ISO 639, or `other`
Name = Annotated[str, Meta(min_length=1, max_length=255)]


class ArenaState(msgspec.Struct, frozen=True):
    """`models`: that may be drawn, ready or not. `reason`: why there is no arena here."""

    enabled: bool
    models: list[str]
    minimum_votes: int
    reason: str | None = None


class NewBattle(msgspec.Struct, frozen=True):
    """`language`: of the page, for questions in Latin letters, which do not tell theirs."""

    language: Language | None = None


class DrawnBattle(msgspec.Struct, frozen=True):
    id: str
    sides: list[str]


class GivenVote(msgspec.Struct, frozen=True):
    winner: Winner


class Pair(msgspec.Struct, frozen=True):
    a: str
    b: str


class Verdict(msgspec.Struct, frozen=True):
    """`models`: who stood on which side. `why_not`: why the vote does not count."""

    models: Pair
    counted: bool
    why_not: str | None = None


class NamedVote(msgspec.Struct, frozen=True):
    """Of a page that shows two models by their names; sides a and b in that order."""

    models: Annotated[list[Name], Meta(min_length=2, max_length=2)]
    winner: Winner
    language: Language | None = None


class Imported(msgspec.Struct, frozen=True):
    """`skipped`: lines that are no vote between two models, cannot be read, or were here already."""

    imported: int
    skipped: int
