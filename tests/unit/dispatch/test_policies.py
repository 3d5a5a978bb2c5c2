from __future__ import annotations

from dataclasses import dataclass

from argosy.dispatch.policies import Hint, least_in_flight, round_robin, weighted_lottery


@dataclass(frozen=True)
class One:
    name: str
    in_flight: int = 0
    turn: int = 0
    weight: float = 1.0


def test_least_in_flight_takes_the_one_with_the_fewest_requests() -> None:
    assert least_in_flight([One("a", 2), One("b", 1), One("c", 3)], Hint(), 0).name == "b"


def test_least_in_flight_takes_the_longest_idle_among_equals() -> None:
    assert least_in_flight([One("a", 1, 3), One("b", 1, 1), One("c", 1, 2)], Hint(), 0).name == "b"


def test_round_robin_takes_whose_turn_is_the_longest_ago_however_busy() -> None:
    assert round_robin([One("a", 0, 3), One("b", 9, 1), One("c", 0, 2)], Hint(), 0).name == "b"


def test_the_lottery_draws_in_proportion_to_weights() -> None:
    candidates = [One("a", weight=1), One("b", weight=2), One("c", weight=1)]
    drawn = [weighted_lottery(candidates, Hint(), draw / 8).name for draw in range(8)]
    assert drawn == ["a", "a", "b", "b", "b", "b", "c", "c"]
    assert weighted_lottery(candidates, Hint(), 0.999_999_999_999_999_9).name == "c"
