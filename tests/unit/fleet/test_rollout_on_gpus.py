"""A start on a GPU waits for those that the plan no longer sees there, and for nobody else."""

from __future__ import annotations

from typing import Any

from argosy.config.schema import Budget
from argosy.fleet.launcher import LaunchedReplica
from argosy.fleet.rollout import Rollout
from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.replica import AssignedDevice, ReplicaSpec


def spec(replica: str, gpu: int, share: int, **fields: Any) -> ReplicaSpec:
    """`share`: hundredths of the GPU."""
    return ReplicaSpec(
        id=replica,
        generation=fields.pop("generation", 1),
        deployment=DeploymentRecord(name=replica.partition(".")[0], revision=1),
        config={},
        gateways=[],
        grace_seconds=1,
        node="here",
        devices=(AssignedDevice(index=gpu, uuid="", memory_bytes=100, budget_bytes=share),),
    )


def in_the_way(start: ReplicaSpec, wanted: list[ReplicaSpec], running: list[ReplicaSpec], **fields: Any) -> list[str]:
    rollout = Rollout(
        {each.id: each for each in [start, *wanted]},
        {each.id: LaunchedReplica(spec=each, alive=fields.get("alive", True)) for each in running},
        stopping=fields.get("stopping", ()),
        budget=Budget(memory_fraction=1),
    )
    return sorted(each.id for each in rollout.in_the_way(start))


def test_one_that_is_wanted_no_more_and_holds_the_memory_is_in_the_way() -> None:
    assert in_the_way(spec("b.0", 0, 60), [], [spec("a.0", 0, 50)]) == ["a.0"]
    assert in_the_way(spec("b.0", 0, 60), [], [spec("a.0", 0, 50)], alive=False) == []


def test_one_that_holds_memory_beside_it_or_elsewhere_is_not() -> None:
    assert in_the_way(spec("b.0", 0, 60), [], [spec("a.0", 0, 40)]) == []
    assert in_the_way(spec("b.0", 0, 60), [], [spec("a.0", 1, 90)]) == []


def test_two_that_change_places_are_in_each_others_way() -> None:
    before = [spec("a.0", 0, 90), spec("a.1", 1, 90)]
    first, second = spec("a.0", 1, 90, generation=2), spec("a.1", 0, 90, generation=2)
    assert in_the_way(first, [second], before) == ["a.1"]


def test_one_that_belongs_there_is_left_alone() -> None:
    belongs = spec("a.0", 0, 40)
    assert in_the_way(spec("b.0", 0, 60), [belongs], [belongs, spec("c.0", 0, 20)]) == ["c.0"]


def test_one_that_is_being_stopped_is_still_waited_for() -> None:
    leaving = spec("a.0", 0, 50)
    assert in_the_way(spec("b.0", 0, 60), [leaving], [leaving], stopping=["a.0"]) == ["a.0"]
