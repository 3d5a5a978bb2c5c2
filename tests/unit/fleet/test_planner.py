from __future__ import annotations

from typing import Any

import pytest

from argosy.config.schema import Fleet
from argosy.fleet.launcher import LaunchedReplica, NodeInfo
from argosy.fleet.planner import placement_of, plan, planned_id, records, remotes
from argosy.protocol.replica import ReplicaSpec


def fleet(**deployments: dict[str, Any]) -> Fleet:
    return Fleet.model_validate(
        {"deployments": {name: {"engine": "echo", **each} for name, each in deployments.items()}}
    )


def planned(
    wanted: Fleet,
    current: list[ReplicaSpec] | None = None,
    stopped: tuple[str, ...] = (),
    drained: tuple[str, ...] = (),
    restarts: dict[str, int] | None = None,
) -> dict[str, ReplicaSpec]:
    running = {spec.id: LaunchedReplica(spec=spec, alive=True) for spec in current or []}
    placement = placement_of(
        wanted, stopped, running, nodes=[NodeInfo("here")], needs={}, drained=drained, restarts=restarts
    )
    specs = plan(
        wanted,
        stopped,
        {spec.id: spec for spec in current or []},
        placement=placement,
        gateways=["http://127.0.0.1:8000"],
        revision=7,
        drained=drained,
        restarts=restarts,
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
        {"task": "embed"},
        {"chat_template": "{{ messages }}"},
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
        {"concurrency": 3},
        {"weight": 2.0},
        {"engine": "echo", "env": {}},  # a default
        {"max_tokens_ceiling": 100},
        {"defaults": {"temperature": 0}},
        {"system_prompt": "Be kind."},
    ],
)
def test_what_no_engine_is_started_with_restarts_nothing(change: dict[str, Any]) -> None:
    before = planned(fleet(a={}))
    after = planned(fleet(a=change), list(before.values()))["a.0"]
    assert after.generation == 1
    assert after.deployment.aliases == change.get("aliases", [])


def test_an_id_tells_a_planned_replica_from_one_started_by_hand() -> None:
    assert planned_id("Qwen/Qwen2.5-7B.12")
    assert not planned_id("smollm2.123456")
    assert not planned_id("smollm2.0a1b2c")


def test_a_restart_makes_the_next_generation_once() -> None:
    before = planned(fleet(a={}, b={}))
    after = planned(fleet(a={}, b={}), list(before.values()), restarts={"a": 5})
    assert (after["a.0"].generation, after["b.0"].generation) == (2, 1)
    again = planned(fleet(a={}, b={}), list(after.values()), restarts={"a": 5})
    assert again["a.0"].generation == 2
    assert planned(fleet(a={}, b={}), list(after.values()))["a.0"].generation == 2  # a restart that was forgotten


def test_a_replica_that_is_started_after_a_restart_was_asked_for_answers_it() -> None:
    first = planned(fleet(a={"replicas": 1}), restarts={"a": 5})
    assert first["a.0"].generation == 1
    assert planned(fleet(a={}), list(first.values()), restarts={"a": 5})["a.0"].generation == 1


def test_a_drained_replica_is_wanted_neither_here_nor_by_the_gateway() -> None:
    wanted = fleet(a={"replicas": 3})
    specs = planned(wanted, drained=("a.1",))
    assert sorted(specs) == ["a.0", "a.2"]
    assert specs["a.0"].deployment.replicas == 2
    assert [each.replicas for each in records(wanted, [], revision=1, drained=["a.1"])] == [2]
