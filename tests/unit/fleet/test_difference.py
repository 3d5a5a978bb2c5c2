"""What `argosy up` says before it changes anything."""

from __future__ import annotations

from typing import Any

from argosy.config.schema import Budget, Fleet
from argosy.fleet.desired import Desired
from argosy.fleet.difference import changes, difference_text


def fleet(
    *,
    gateway: dict[str, Any] | None = None,
    grace: float = 30,
    arena: dict[str, Any] | None = None,
    **deployments: dict[str, Any],
) -> Fleet:
    named = {name: {"engine": "echo", **each} for name, each in deployments.items()}
    return Fleet.model_validate({"gateway": gateway or {}, "grace": grace, "arena": arena, "deployments": named})


def told(before: Desired, after: Fleet) -> list[str]:
    return [str(change) for change in changes(before, after)]


def test_it_names_what_happens_to_each_deployment() -> None:
    old = fleet(same={}, gone={}, options={"options": {"slots": 1}}, more={}, asleep={})
    new = fleet(same={}, options={"options": {"slots": 2}}, more={"replicas": 3}, asleep={}, fresh={})
    before = Desired(old, 1, stopped=frozenset({"asleep"}))
    assert told(before, new) == [
        "gone: removed",
        "options: restarted (options.slots 1 → 2)",
        "more: changed without a restart (replicas 1 → 3)",
        "asleep: started",
        "fresh: new",
    ]
    assert difference_text(before, new).splitlines()[-1] == "  unchanged: same"


def test_limits_aliases_and_timeouts_are_told_with_their_values_and_restart_nothing() -> None:
    new = fleet(a={"aliases": ["x"], "concurrency": 2, "max_queue": 5, "timeouts": {"queue": 1.5}})
    assert told(Desired(fleet(a={}), 1), new) == [
        "a: changed without a restart (aliases, concurrency unset → 2, max_queue 1000 → 5, timeouts.queue 30 → 1.5)"
    ]


def test_values_that_may_be_secrets_are_not_told() -> None:
    old = fleet(a={"env": {"KEY": "sk-old", "SAME": "1"}, "options": {"path": "sk-old"}})
    new = fleet(a={"env": {"KEY": "sk-new", "SAME": "1"}, "options": {"path": "sk-new"}})
    assert told(Desired(old, 1), new) == ["a: restarted (env.KEY, options.path)"]


def test_gateway_and_grace_are_told_too() -> None:
    new = fleet(gateway={"port": 8123, "allowed_hosts": ["door"]}, grace=5, a={})
    assert told(Desired(fleet(a={}), 1), new) == [
        "gateway: changed, no engine restarts (allowed_hosts, port 8000 → 8123)",
        "grace: changed without a restart (30 → 5)",
    ]


def test_an_arena_is_told_but_not_where_its_votes_go() -> None:
    without, with_one = fleet(a={}), fleet(arena={}, a={})
    assert told(Desired(without, 1), with_one) == ["arena: new"]
    assert told(Desired(with_one, 1), without) == ["arena: removed"]
    other = fleet(arena={"votes_per_minute": 5, "database": "postgresql://u:secret@h/d"}, a={})
    assert told(Desired(with_one, 1), other) == [
        "arena: changed, no engine restarts (database, votes_per_minute 20 → 5)"
    ]


def test_what_was_drained_serves_again() -> None:
    before = Desired(fleet(a={"replicas": 2}), 1, drained=frozenset({"a.1"}))
    assert told(before, fleet(a={"replicas": 2})) == ["a: changed without a restart (a.1 no longer drained)"]


def test_the_same_fleet_makes_no_difference() -> None:
    assert difference_text(Desired(fleet(a={}), 1), fleet(a={})) == "  nothing changes"


def test_a_default_that_is_stated_is_no_change() -> None:
    assert told(Desired(fleet(a={}), 1), fleet(a={"weight": 1.0, "max_queue": 1000})) == []


def test_another_place_restarts_who_moves_and_another_budget_nobody() -> None:
    new = fleet(a={"gpus": [1], "aliases": ["x"]}).model_copy(update={"budget": Budget(memory_fraction=0.5)})
    assert told(Desired(fleet(a={"gpus": 1}), 1), new) == [
        "budget: changed without a restart (memory_fraction 0.95 → 0.5)",
        "a: restarted where it moves (aliases, gpus)",
    ]
