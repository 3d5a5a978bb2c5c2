"""Strengths out of votes: Bradley-Terry with 95% intervals, Elo beside it. Pure; wants numpy and scipy (argosy[arena]).

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


def bradley_terry(table: NDArray[np.float64], start: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """The most likely ratings for a table of wins. `start`: where to look first."""
    import numpy as np  # noqa: PLC0415
    from scipy.optimize import minimize  # noqa: PLC0415
    from scipy.special import expit  # noqa: PLC0415

    battles = table + table.T
    whole = max(battles.sum() / 2, 1.0)

    def surprise(strengths: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Of the table, were these the strengths: minus its log likelihood, and the slope."""
        lead = strengths[:, None] - strengths[None, :]
        loss = (table * np.logaddexp(0, -lead)).sum() + PRIOR / 2 * (strengths**2).sum()
        slope = (battles * expit(lead) - table).sum(axis=1) + PRIOR * strengths
        return float(loss / whole), slope / whole

    first = np.zeros(len(table)) if start is None else (start - AVERAGE) / SCALE
    found = minimize(surprise, first, jac=True, method="L-BFGS-B", options={"gtol": 1e-6, "ftol": 1e-12})
    ratings: NDArray[np.float64] = found.x * SCALE + AVERAGE
    return ratings


def intervals(
    outcomes: Sequence[Outcome], models: Sequence[str], ratings: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Between which two numbers each of `ratings` is with 95%: the same each time for the same votes."""
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
    samples = np.empty((SAMPLES, len(models)))
    for index, times in enumerate(drawn):
        table = np.zeros((len(models), len(models)))
        np.add.at(table, (a, b), times * scores)
        np.add.at(table, (b, a), times * (1 - scores))
        samples[index] = bradley_terry(table, ratings)
    low, high = np.percentile(samples, (2.5, 97.5), axis=0)
    return low, high
