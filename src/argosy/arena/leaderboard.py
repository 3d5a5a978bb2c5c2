"""The leaderboard as clients get it: its shape, and its making out of votes. Only ratings bring in numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from argosy.arena.votes import Outcome


class Standing(msgspec.Struct, frozen=True):
    """`rank`: 1 + how many are surely better, their whole interval above this one's. `low`, `high`: 95%."""

    model: str
    rank: int
    rating: float
    low: float
    high: float
    elo: float
    votes: int
    preliminary: bool


class WinMatrix(msgspec.Struct, frozen=True):
    """`rates`: of the row's model against the column's, a tie being half a win; null where they never met."""

    models: list[str]
    rates: list[list[float | None]]
    battles: list[list[int]]


class Leaderboard(msgspec.Struct, frozen=True):
    votes: int
    languages: list[str]
    models: list[Standing]
    win_matrix: WinMatrix


def leaderboard(outcomes: Sequence[Outcome], languages: Sequence[str], *, minimum_votes: int) -> Leaderboard:
    """`outcomes`: of votes that count, in their order; `languages`: in which there are any."""
    told = ["all", *languages]
    votes = Counter(model for each in outcomes for model in (each.model_a, each.model_b))
    models = sorted(votes)
    if not models:
        return Leaderboard(0, told, [], WinMatrix([], [], []))
    from argosy.arena import ratings  # noqa: PLC0415  numpy

    table = ratings.wins(outcomes, models)
    strengths = ratings.bradley_terry(table)
    low, high = ratings.intervals(outcomes, models)
    elo = ratings.elo(outcomes, models)
    order = sorted(range(len(models)), key=lambda index: (-strengths[index], models[index]))
    standings = [
        Standing(
            model=models[index],
            rank=1 + int((low > high[index]).sum()),
            rating=_rounded(strengths[index]),
            low=_rounded(low[index]),
            high=_rounded(high[index]),
            elo=_rounded(elo[models[index]]),
            votes=votes[models[index]],
            preliminary=votes[models[index]] < minimum_votes,
        )
        for index in order
    ]
    met = table + table.T
    rates = [[round(float(table[i, j] / met[i, j]), 4) if met[i, j] else None for j in order] for i in order]
    battles = [[int(met[i, j]) for j in order] for i in order]
    return Leaderboard(len(outcomes), told, standings, WinMatrix([models[index] for index in order], rates, battles))


def _rounded(points: float) -> float:
    return round(float(points), 1)
