from __future__ import annotations

from typing import Any

import pytest

from argosy.config.schema import Fleet
from argosy.fleet.launcher import NodeInfo
from argosy.fleet.planner import changes, plan, planned_id, records, remotes
from argosy.protocol.replica import ReplicaSpec


def fleet(**deployments: dict[str, Any]) -> Fleet:
    return Fleet.model_validate(
        {"deployments": {name: {"engine": "echo", **each} for name, each in deployments.items()}}
    )


def planned(
    wanted: Fleet, current: list[ReplicaSpec] | None = None, stopped: tuple[str, ...] = ()
) -> dict[str, ReplicaSpec]:
    specs = plan(
        wanted,
        stopped,
        {spec.id: spec for spec in current or []},
        nodes=[NodeInfo("here")],
        gateways=["http://127.0.0.1:8000"],
        revision=7,
    )
    return {spec.id: spec for spec in specs}


def test_every_wanted_replica_has_a_spec() -> None:
    specs = planned(fleet(a={"replicas": 2}, b={}, c={"replicas": 0}))
    assert sorted(specs) == ["a.0", "a.1", "b.0"]
    assert {spec.generation for spec in specs.values()} == {1}
    assert specs["a.0"].deployment.revision == 7


def test_a_stopped_deployment_wants_no_replica() -> None:
    assert sorted(planned(fleet(a={}, b={}), stopped=("a",))) == ["b.0"]


def test_a_remote_has_no_worker_but_a_record() -> None:
    wanted = fleet(far={"engine": "remote", "urls": ["http://127.0.0.1:1/v1"]})
    assert planned(wanted) == {}
    assert [(each.name, each.replicas) for each in records(wanted, ["far"], revision=1)] == [("far", 1)]
    assert [each.urls for each in remotes(wanted)] == [["http://127.0.0.1:1/v1"]]


@pytest.mark.parametrize(
    "change",
    [
        {"options": {"slots": 9}},
        {"env": {"A": "b"}},
        {"concurrency": 3},
        {"weight": 2.0},
        {"task": "embed"},
    ],
)
def test_what_the_engine_or_its_worker_uses_makes_the_next_generation(change: dict[str, Any]) -> None:
    before = planned(fleet(a={}))
    assert planned(fleet(a=change), list(before.values()))["a.0"].generation == 2


@pytest.mark.parametrize(
    "change",
    [
        {"aliases": ["x"]},
        {"policy": "round_robin"},
        {"max_queue": 3},
        {"timeouts": {"queue": 1}},
        {"replicas": 3},
        {"weight": 1.0},  # its default
    ],
)
def test_what_only_routing_uses_restarts_nothing(change: dict[str, Any]) -> None:
    before = planned(fleet(a={}))
    after = planned(fleet(a=change), list(before.values()))["a.0"]
    assert after.generation == 1
    assert after.deployment.aliases == change.get("aliases", [])


def test_an_id_tells_a_planned_replica_from_one_started_by_hand() -> None:
    assert planned_id("Qwen/Qwen2.5-7B.12")
    assert not planned_id("smollm2.123456")
    assert not planned_id("smollm2.0a1b2c")


def test_the_difference_names_what_happens_to_each_deployment() -> None:
    old = fleet(same={}, gone={}, options={"options": {"slots": 1}}, more={}, asleep={})
    new = fleet(same={}, options={"options": {"slots": 2}}, more={"replicas": 3}, asleep={}, fresh={})
    told = [str(change) for change in changes(old, ["asleep"], new)]
    assert told == [
        "gone: removed",
        "options: restarted (options)",
        "more: changed (replicas 1 → 3)",
        "asleep: started",
        "fresh: new",
    ]


def test_the_same_fleet_makes_no_difference() -> None:
    assert changes(fleet(a={}), [], fleet(a={})) == []
