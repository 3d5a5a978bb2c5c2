"""Who meets whom."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.arena.draw import draw

SHARES = st.floats(0, 1, exclude_max=True)
WEIGHTS = st.dictionaries(st.sampled_from("abcdef"), st.floats(1e-3, 1000), min_size=2, max_size=6)
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy


@UNHURRIED
@given(WEIGHTS, SHARES, SHARES, SHARES)
def test_two_different_models_are_drawn_whatever_chance_says(
    weights: dict[str, float], first: float, second: float, coin: float
) -> None:
    a, b = draw(weights, iter((first, second, coin)).__next__)
    assert a != b
    assert {a, b} <= weights.keys()


@UNHURRIED
@given(WEIGHTS, SHARES, SHARES)
def test_the_coin_alone_decides_the_sides(weights: dict[str, float], first: float, second: float) -> None:
    heads, tails = (draw(weights, iter((first, second, coin)).__next__) for coin in (0.49, 0.5))
    assert heads == tails[::-1]


def test_models_meet_as_often_as_their_weights_say_and_on_either_side_alike() -> None:
    chance = random.Random(7).random
    drawn = Counter(draw({"often": 3.0, "seldom": 1.0, "rare": 0.5}, chance) for _ in range(20_000))
    left, right = Counter[str](), Counter[str]()
    for (a, b), times in drawn.items():
        left[a] += times
        right[b] += times
    for name in left:
        assert left[name] / (left[name] + right[name]) == pytest.approx(0.5, abs=0.02)
    # often is first with 3/4.5; else second: after seldom with 3/3.5, after rare with 3/4.
    share = 3 / 4.5 + (1 / 4.5) * (3 / 3.5) + (0.5 / 4.5) * (3 / 4)
    assert (left["often"] + right["often"]) / 20_000 == pytest.approx(share, abs=0.01)
