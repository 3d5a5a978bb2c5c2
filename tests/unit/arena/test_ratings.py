"""Ratings of votes with a known answer."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from argosy.arena.leaderboard import Leaderboard, leaderboard
from argosy.arena.ratings import AVERAGE, SCALE, bradley_terry, elo, wins
from argosy.arena.votes import Outcome
from argosy.protocol.arena import Winner

STRENGTHS = {"weak": -180.0, "plain": 0.0, "good": 60.0, "best": 120.0}


def board(outcomes: list[Outcome]) -> Leaderboard:
    return leaderboard(outcomes, ["en"], minimum_votes=50)


def votes(a: str, b: str, winner: Winner, times: int = 1) -> list[Outcome]:
    return [Outcome(a, b, winner)] * times


def fought(battles: int, seed: int) -> list[Outcome]:
    """By models of these strengths."""
    rng = random.Random(seed)
    found = []
    for _ in range(battles):
        a, b = rng.sample(sorted(STRENGTHS), 2)
        odds = 10 ** ((STRENGTHS[a] - STRENGTHS[b]) / 400)
        found.append(Outcome(a, b, "a" if rng.random() < odds / (1 + odds) else "b"))
    return found


def test_three_wins_of_four_are_odds_of_three() -> None:
    """By hand: the difference is 400 · log10(3), and nobody is above the average together."""
    first, second = board([*votes("x", "y", "a", 3), *votes("x", "y", "b")]).models
    assert first.rating - second.rating == pytest.approx(400 * math.log10(3), abs=0.3)
    assert (first.rating + second.rating) / 2 == pytest.approx(AVERAGE, abs=0.1)


@pytest.mark.parametrize("winner", ["tie", "both_bad"])
def test_a_tie_is_half_a_win_for_each_also_of_two_bad_answers(winner: Winner) -> None:
    """Two wins and two ties are three wins of four."""
    first, second = board([*votes("x", "y", "a", 2), *votes("y", "x", winner, 2)]).models
    assert first.model == "x"
    assert first.rating - second.rating == pytest.approx(400 * math.log10(3), abs=0.3)


def test_three_models_in_a_ring_are_equal() -> None:
    found = board([*votes("x", "y", "a", 5), *votes("y", "z", "a", 5), *votes("z", "x", "a", 5)]).models
    assert [each.rating for each in found] == [AVERAGE] * 3
    assert [each.rank for each in found] == [1, 1, 1]


def test_a_chain_of_known_odds_adds_up() -> None:
    """x beats y with odds of 3, y beats z with odds of 9: x stands log10(27) above z though they never met."""
    chain = [
        *votes("x", "y", "a", 300),
        *votes("x", "y", "b", 100),
        *votes("y", "z", "a", 900),
        *votes("y", "z", "b", 100),
    ]
    ratings = {each.model: each.rating for each in board(chain).models}
    assert ratings["x"] - ratings["z"] == pytest.approx(400 * math.log10(27), abs=0.5)


def test_known_strengths_are_found_again_and_lie_within_their_intervals() -> None:
    """Of 12 intervals of 95%, ten at least hold what is true."""
    within = 0
    for seed in range(3):
        found = board(fought(4000, seed)).models
        assert [each.model for each in found] == ["best", "good", "plain", "weak"]
        for each in found:
            assert each.rating - AVERAGE == pytest.approx(STRENGTHS[each.model], abs=25)
            within += each.low - AVERAGE <= STRENGTHS[each.model] <= each.high - AVERAGE
            assert each.low < each.rating < each.high
            assert not each.preliminary
    assert within >= 10


def test_intervals_are_as_wide_as_theory_has_them() -> None:
    """Two models, n even battles: the difference has a standard error of 2/√n in units of log odds; each has half."""
    n = 400
    first, _ = board([*votes("x", "y", "a", n // 2), *votes("x", "y", "b", n // 2)]).models
    assert first.high - first.low == pytest.approx(2 * 1.96 * SCALE / math.sqrt(n), rel=0.15)


def test_the_same_votes_make_the_same_leaderboard() -> None:
    assert board(fought(300, 1)) == board(fought(300, 1))


def test_it_is_the_most_likely_one() -> None:
    """The slope of the likelihood is nothing there, but for the prior's."""
    models = sorted(STRENGTHS)
    table = wins(fought(500, 4), models)
    strengths = (bradley_terry(table) - AVERAGE) / SCALE
    expected = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    slope = ((table + table.T) * expected - table).sum(axis=1)
    assert np.abs(slope).max() < 2e-3


def test_who_has_won_everything_and_who_met_nobody_else_have_numbers_all_the_same() -> None:
    found = board([*votes("x", "y", "a", 500), *votes("v", "w", "b", 3)]).models
    assert all(math.isfinite(number) for each in found for number in (each.rating, each.low, each.high))
    assert found[0].model == "x"
    assert {each.model for each in found if each.preliminary} == {"v", "w"}


def test_elo_moves_by_four_at_most_and_sums_to_nothing() -> None:
    """By hand: 1000 each; a win moves 4 · (1 - 0.5)."""
    assert elo(votes("x", "y", "a"), ["x", "y"]) == {"x": 1002.0, "y": 998.0}
    assert elo(votes("x", "y", "tie"), ["x", "y"]) == {"x": 1000.0, "y": 1000.0}
    twice = elo(votes("x", "y", "a", 2), ["x", "y"])
    assert twice["x"] == pytest.approx(1002 + 4 * (1 - 1 / (1 + 10 ** (-4 / 400))))
    assert sum(twice.values()) == pytest.approx(2000)


def test_the_matrix_tells_wins_of_the_row_over_the_column() -> None:
    found = board([*votes("x", "y", "a", 3), *votes("y", "x", "tie"), *votes("z", "x", "b")]).win_matrix
    place = {model: index for index, model in enumerate(found.models)}
    x, y, z = place["x"], place["y"], place["z"]
    assert (found.rates[x][y], found.rates[y][x], found.battles[x][y]) == (0.875, 0.125, 4)
    assert (found.rates[x][z], found.rates[z][x]) == (1.0, 0.0)
    assert found.rates[y][z] is None
    assert found.battles[y][z] == 0
    assert found.rates[x][x] is None


def test_without_votes_there_is_an_empty_leaderboard() -> None:
    empty = board([])
    assert (empty.votes, empty.models, empty.win_matrix.models, empty.languages) == (0, [], [], ["all", "en"])
