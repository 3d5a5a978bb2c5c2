from __future__ import annotations

from argosy.dispatch.retries import RETRY_FLOOR, WINDOW_SECONDS, RetryBudget
from fakes import FakeClock


def taken(budget: RetryBudget) -> int:
    """All that is left."""
    count = 0
    while budget.take():
        count += 1
    return count


def count(budget: RetryBudget, requests: int, now: float) -> None:
    for _ in range(requests):
        budget.count_request(now)


def test_a_few_retries_are_always_allowed() -> None:
    assert taken(RetryBudget(FakeClock())) == RETRY_FLOOR


def test_of_many_requests_a_fifth_may_be_retried() -> None:
    clock = FakeClock()
    budget = RetryBudget(clock)
    count(budget, 1000, clock.now)
    assert taken(budget) == 200


def test_a_window_that_has_just_begun_remembers_the_traffic_before_it() -> None:
    clock = FakeClock()
    budget = RetryBudget(clock)
    count(budget, 1000, clock.now)
    clock.now += WINDOW_SECONDS
    assert taken(budget) == 200


def test_a_window_that_has_just_begun_remembers_the_retries_before_it() -> None:
    clock = FakeClock()
    budget = RetryBudget(clock)
    count(budget, 1000, clock.now)
    assert taken(budget) == 200
    clock.now += WINDOW_SECONDS
    count(budget, 500, clock.now)
    assert taken(budget) == 100


def test_what_was_long_ago_does_not_count() -> None:
    clock = FakeClock()
    budget = RetryBudget(clock)
    count(budget, 1000, clock.now)
    taken(budget)
    clock.now += 2 * WINDOW_SECONDS
    assert taken(budget) == RETRY_FLOOR
