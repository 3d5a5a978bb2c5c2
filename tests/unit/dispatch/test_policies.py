from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from argosy.dispatch.policies import (
    NOTHING,
    Hint,
    affinity,
    least_in_flight,
    round_robin,
    two_choices,
    weighted_lottery,
)


@dataclass(frozen=True)
class One:
    name: str
    in_flight: int = 0
    turn: int = 0
    weight: float = 1.0


def test_least_in_flight_takes_the_one_with_the_fewest_requests() -> None:
    assert least_in_flight([One("a", 2), One("b", 1), One("c", 3)], NOTHING, 0).name == "b"


def test_least_in_flight_takes_the_longest_idle_among_equals() -> None:
    assert least_in_flight([One("a", 1, 3), One("b", 1, 1), One("c", 1, 2)], NOTHING, 0).name == "b"


def test_least_in_flight_counts_requests_by_weight() -> None:
    heavy, light = One("heavy", 3, weight=2), One("light", 2, weight=1)
    assert least_in_flight([light, heavy], NOTHING, 0).name == "heavy"
    assert least_in_flight([light, One("heavy", 4, 1, weight=2)], NOTHING, 0).name == "light", "equal, and longer idle"


def test_round_robin_takes_whose_turn_is_the_longest_ago_however_busy() -> None:
    assert round_robin([One("a", 0, 3), One("b", 9, 1), One("c", 0, 2)], NOTHING, 0).name == "b"


def test_the_lottery_draws_in_proportion_to_weights() -> None:
    candidates = [One("a", weight=1), One("b", weight=2), One("c", weight=1)]
    drawn = [weighted_lottery(candidates, NOTHING, draw / 8).name for draw in range(8)]
    assert drawn == ["a", "a", "b", "b", "b", "b", "c", "c"]
    assert weighted_lottery(candidates, NOTHING, 0.999_999_999_999_999_9).name == "c"


def test_two_choices_take_the_less_busy_of_any_two() -> None:
    candidates = [One("a", 1), One("b", 2), One("c", 3), One("d", 4)]
    drawn = Counter(two_choices(candidates, NOTHING, (pair + 0.5) / 12).name for pair in range(12))
    assert drawn == {"a": 6, "b": 4, "c": 2}, "each of the twelve pairs once"


def test_two_choices_of_two_are_both() -> None:
    assert two_choices([One("a", 1), One("b", 0)], NOTHING, 0.9).name == "b"


EVEN = (0.0, 0.0, 0.0)


def test_affinity_takes_who_knows_the_most_while_its_share_is_fair() -> None:
    candidates = [One("a", 2), One("b", 2), One("c", 2)]
    assert affinity(candidates, Hint((1, 5, 2), EVEN), 0).name == "b"


def test_affinity_is_least_in_flight_where_nobody_knows_anything_or_all_know_the_same() -> None:
    candidates = [One("a", 2, 1), One("b", 1, 2), One("c", 1, 3)]
    for known in ((0, 0, 0), (4, 4, 4)):
        assert affinity(candidates, Hint(known, EVEN), 0).name == "b"


def test_affinity_leaves_who_is_busier_than_its_share() -> None:
    """A quarter and two above the mean, with this request: of 4 + 1 on two, that is five and an eighth."""
    assert affinity([One("knows", 4), One("idle", 0)], Hint((5, 0), (0, 0)), 0).name == "knows"
    assert affinity([One("knows", 5), One("idle", 0)], Hint((5, 0), (0, 0)), 0).name == "idle"


def test_affinity_leaves_who_was_given_more_than_its_share_of_late_unless_none_is_less_busy() -> None:
    lately = (40, 8)
    assert affinity([One("knows", 1), One("idle", 0)], Hint((5, 0), lately), 0).name == "idle"
    assert affinity([One("knows", 0, 9), One("idle", 0, 1)], Hint((5, 0), lately), 0).name == "knows"
    assert affinity([One("knows", 1), One("busier", 2)], Hint((5, 0), lately), 0).name == "knows", "least in flight"


def test_who_is_above_its_share_is_not_left_for_a_busier_one_that_knows_no_more() -> None:
    given, busier = One("given", 2, 1), One("busier", 3, 2)
    assert affinity([given, busier], Hint((4, 4), (40, 8)), 0).name == "given"


def test_affinity_takes_the_next_best_where_the_best_is_too_busy() -> None:
    candidates = [One("best", 9), One("next", 1), One("none", 0)]
    assert affinity(candidates, Hint((9, 3, 0), EVEN), 0).name == "next"


def test_a_share_is_by_weight() -> None:
    """Of 8 requests and this one, a weight of 3 of 4 is due 6.75, with a quarter and two more 10.4."""
    assert affinity([One("knows", 8, weight=3), One("b", 0)], Hint((5, 0), (0, 0)), 0).name == "knows"
    assert affinity([One("knows", 8, weight=1), One("b", 0)], Hint((5, 0), (0, 0)), 0).name == "b"
