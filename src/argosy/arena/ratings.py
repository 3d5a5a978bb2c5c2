"""Strengths out of votes: Bradley-Terry with 95% intervals, Elo beside it. Pure; wants numpy (argosy[arena]).

As LMSYS does it (https://lmsys.org/blog/2023-12-07-leaderboard, FastChat's rating_systems.py): a tie is half a win for
each, also one of two bad answers; a difference of 400 is odds of ten to one; intervals are of 2.5% and 97.5% among
samples of the votes with replacement. Unlike there, ratings are 1000 on average, and a weak prior (a normal one around
that average) keeps a model that has won all its battles, or met none of the others, at a number at all: what votes
bound from both sides it moves by less than a point.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from argosy.arena.votes import Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AVERAGE = 1000.0
SCALE = 400 / math.log(10)  # points for a unit of the logarithm of the odds
PRIOR = 1e-3  # one over its variance, in those units
ELO_STEP = 4.0
SAMPLES = 200
MOST_STEPS = 200
SEED = 20231207
_SCORES = {"a": 1.0, "b": 0.0}  # for side a; all else is half a win


def elo(outcomes: Iterable[Outcome], models: Sequence[str]) -> dict[str, float]:
    """One vote after the other, in their order."""
    ratings = dict.fromkeys(models, AVERAGE)
    for outcome in outcomes:
        a, b = outcome.model_a, outcome.model_b
        expected = 1 / (1 + 10 ** ((ratings[b] - ratings[a]) / 400))
        step = ELO_STEP * (_SCORES.get(outcome.winner, 0.5) - expected)
        ratings[a] += step
        ratings[b] -= step
    return ratings


def wins(outcomes: Iterable[Outcome], models: Sequence[str]) -> NDArray[np.float64]:
    """[i, j]: how often i beat j, a tie being half a win for each."""
    import numpy as np  # noqa: PLC0415

    place = {model: index for index, model in enumerate(models)}
    table = np.zeros((len(models), len(models)))
    for outcome in outcomes:
        a, b, score = place[outcome.model_a], place[outcome.model_b], _SCORES.get(outcome.winner, 0.5)
        table[a, b] += score
        table[b, a] += 1 - score
    return table


def bradley_terry(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """The most likely ratings for a table of wins, or for each of a stack of them, by Newton's method."""
    import numpy as np  # noqa: PLC0415

    battles = tables + np.swapaxes(tables, -1, -2)
    strengths = np.zeros(tables.shape[:-1])
    diagonal = np.eye(tables.shape[-1])
    for _ in range(MOST_STEPS):
        expected = 1 / (1 + np.exp(strengths[..., None, :] - strengths[..., :, None]))
        slope = (battles * expected - tables).sum(axis=-1) + PRIOR * strengths
        weights = battles * expected * (1 - expected)
        curve = diagonal * (weights.sum(axis=-1) + PRIOR)[..., None] - weights
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        longest = np.abs(step).max(axis=-1, keepdims=True)
        strengths -= step / np.maximum(
            1, longest
        )  # a longer one may lead beyond the goal, and further from it each time
        if longest.max() < 1e-9:
            break
    return strengths * SCALE + AVERAGE


def intervals(outcomes: Sequence[Outcome], models: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Between which two numbers each rating is with 95%: the same each time for the same votes."""
    import numpy as np  # noqa: PLC0415

    # Votes with the same models and the same winner are alike: how often each kind is drawn is all that differs.
    place = {model: index for index, model in enumerate(models)}
    kinds, counts = np.unique(
        [(place[each.model_a], place[each.model_b], _SCORES.get(each.winner, 0.5)) for each in outcomes],
        axis=0,
        return_counts=True,
    )
    a, b, scores = kinds[:, 0].astype(int), kinds[:, 1].astype(int), kinds[:, 2]
    drawn = np.random.default_rng(SEED).multinomial(len(outcomes), counts / counts.sum(), size=SAMPLES)
    tables = np.zeros((SAMPLES, len(models), len(models)))
    sample = np.arange(SAMPLES)[:, None]
    np.add.at(tables, (sample, a, b), drawn * scores)
    np.add.at(tables, (sample, b, a), drawn * (1 - scores))
    low, high = np.percentile(bradley_terry(tables), (2.5, 97.5), axis=0)
    return low, high
