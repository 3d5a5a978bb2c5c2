"""Battles that are being fought: who meets whom, what each side was asked, whether it gave itself away, one vote.

They live in this process's memory alone, bounded in number and age: a battle without a vote is worth nothing, and none
outlives its gateway. What is voted on goes to the store (store.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from argosy.errors import ConflictError, NotFoundError

MOST_BATTLES = 10_000
LONGEST_SECONDS = 2 * 3600.0  # since the last turn
SIDES = ("a", "b")
Conversation = tuple[tuple[str, str], ...]  # (role, text)


@dataclass
class Side:
    model: str
    words: frozenset[str]  # that would give it away
    busy: bool = False
    asked: bytes | None = None  # of the last question that it answered: both sides must get the same
    turns: int = 0
    conversation: Conversation = ()  # with that answer; empty where none are kept
    told: str | None = None  # the word that gave it away

    def answered(self, asked: bytes, turns: int, conversation: Conversation) -> None:
        """A whole conversation comes with each question, so the last answer stands for all."""
        self.asked, self.turns, self.conversation = asked, turns, conversation


@dataclass
class Battle:
    id: str
    owner: str  # a principal's name: nobody else finds it
    sides: Mapping[str, Side]
    hint: str | None  # the language of its owner's page
    touched_at: float  # monotonic seconds
    language: str | None = None  # of its first question
    voted: bool = False

    def side(self, name: str) -> Side:
        """Raises NotFoundError."""
        found = self.sides.get(name)
        if found is None:
            raise NotFoundError(f"A battle has the sides a and b, and no {name[:20]!r}.", code="side_not_found")
        return found

    def begin(self, side: Side) -> None:
        """Raises ConflictError."""
        if self.voted:
            raise ConflictError("This battle is over: its vote was given. Draw another one.", code="battle_over")
        if side.busy:
            raise ConflictError("This side is still answering: wait for its end.", code="side_busy")
        side.busy = True

    def check_ready(self) -> None:
        """Whether there is something to vote on. Raises ConflictError."""
        if self.voted:
            raise ConflictError("This battle has its vote; there is one for each.", code="voted_already")
        if any(side.busy for side in self.sides.values()):
            raise ConflictError("A side is still answering: vote when both are through.", code="side_busy")
        if any(side.asked is None for side in self.sides.values()):
            raise ConflictError("Both sides must have answered before there is something to vote on.", code="no_answer")

    @property
    def void(self) -> str | None:
        """Why its vote does not count; None: it does."""
        for name, side in self.sides.items():
            if side.told is not None:
                return f"Side {name} gave its model away: it said {side.told!r}."
        if len({side.asked for side in self.sides.values()}) > 1:
            return "The two sides were not asked the same."
        return None


class Battles:
    """`clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float], *, most: int = MOST_BATTLES) -> None:
        self._clock = clock
        self._most = most
        self._battles: dict[str, Battle] = {}  # the one that was touched longest ago first

    def __len__(self) -> int:
        return len(self._battles)

    def begin(self, owner: str, a: Side, b: Side, hint: str | None) -> Battle:
        now = self._clock()
        self._forget(now)
        battle = Battle(secrets.token_urlsafe(16), owner, dict(zip(SIDES, (a, b), strict=True)), hint, now)
        self._battles[battle.id] = battle
        return battle

    def find(self, id_: str, owner: str) -> Battle:
        """Raises NotFoundError: the same for one that is not there, that is too old, and that is somebody else's."""
        now = self._clock()
        found = self._battles.get(id_)
        if found is None or found.owner != owner or now - found.touched_at > LONGEST_SECONDS:
            raise NotFoundError(
                "There is no such battle of yours: it may be too old, or the gateway was started again. Draw another.",
                code="battle_not_found",
            )
        self._battles[id_] = self._battles.pop(id_)  # to the end
        found.touched_at = now
        return found

    def _forget(self, now: float) -> None:
        while self._battles:
            oldest = next(iter(self._battles.values()))
            if len(self._battles) < self._most and now - oldest.touched_at <= LONGEST_SECONDS:
                return
            del self._battles[oldest.id]
