from __future__ import annotations

import dataclasses

from argosy.fleet.launcher import LaunchedReplica
from argosy.fleet.upkeep import Step, Upkeep
from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.replica import ReplicaSpec, ReplicaState, ReplicaStatus

SPEC = ReplicaSpec(
    id="a.0",
    generation=1,
    deployment=DeploymentRecord(name="a", revision=1),
    config={"engine": "echo"},
    gateways=[],
    grace_seconds=1,
)
ALIVE = LaunchedReplica(spec=SPEC, alive=True)
DEAD = LaunchedReplica(spec=SPEC, alive=False, end="was killed by SIGKILL")


def step(upkeep: Upkeep, found: LaunchedReplica | None, now: float, generation: int = 1) -> Step:
    wanted = SPEC if generation == 1 else ReplicaSpec(**{**_fields(SPEC), "generation": generation})
    return upkeep.step(wanted, found, now, lambda: "its last line")


def _fields(spec: ReplicaSpec) -> dict[str, object]:
    return {name: getattr(spec, name) for name in spec.__struct_fields__}


def failed(reason: str) -> LaunchedReplica:
    status = ReplicaStatus(id="a.0", generation=1, epoch=1, state=ReplicaState.FAILED, since=1.0, reason=reason)
    return dataclasses.replace(DEAD, status=status, end="exited with code 1")


def test_what_was_never_started_starts_at_once() -> None:
    assert step(Upkeep(), None, 0) is Step.START


def test_what_runs_as_wanted_is_left_alone() -> None:
    assert step(Upkeep(), ALIVE, 0) is Step.LEAVE


def test_what_an_earlier_controller_left_dead_starts_at_once() -> None:
    assert step(Upkeep(), DEAD, 0) is Step.START


def test_another_generation_replaces_and_then_starts_at_once() -> None:
    upkeep = Upkeep()
    assert step(upkeep, ALIVE, 0, generation=2) is Step.REPLACE
    assert step(upkeep, dataclasses.replace(ALIVE, alive=False), 1, generation=2) is Step.START
    upkeep.started(1)
    assert upkeep.restarts == 0


def test_a_killed_worker_starts_again_after_a_growing_pause() -> None:
    upkeep = Upkeep()
    now = 0.0
    for pause in (1, 2, 4):
        upkeep.started(now)
        assert step(upkeep, ALIVE, now) is Step.LEAVE
        assert step(upkeep, DEAD, now) is Step.LEAVE
        assert upkeep.absence.state == ReplicaState.BACKOFF
        assert upkeep.absence.reason == f"its worker was killed by SIGKILL; it starts again after {pause} s"
        assert step(upkeep, DEAD, now + pause - 0.1) is Step.LEAVE
        now += pause
        assert step(upkeep, DEAD, now) is Step.START
    upkeep.started(now)
    assert upkeep.restarts == 3


def test_five_starts_in_ten_minutes_are_enough() -> None:
    upkeep = Upkeep()
    now = 0.0
    for _ in range(5):
        upkeep.started(now)
        step(upkeep, DEAD, now)
        now = upkeep.due or now
    assert upkeep.absence.state == ReplicaState.FAILED
    assert upkeep.absence.reason.endswith("given up after 5 starts within 10 minutes. Last lines:\nits last line")
    assert step(upkeep, DEAD, now + 10_000) is Step.LEAVE


def test_a_worker_that_gave_up_by_itself_is_not_started_again() -> None:
    upkeep = Upkeep()
    upkeep.started(0)
    assert step(upkeep, failed("no such model"), 1) is Step.LEAVE
    assert step(upkeep, failed("no such model"), 1000) is Step.LEAVE
    assert upkeep.absence.state == ReplicaState.FAILED
    assert upkeep.absence.reason == "no such model"


def test_a_worker_that_could_not_be_started_is_tried_again() -> None:
    upkeep = Upkeep()
    upkeep.not_started(OSError("no space left"), 0)
    assert step(upkeep, None, 0.5) is Step.LEAVE
    assert "no space left" in upkeep.absence.reason
    assert step(upkeep, None, 1) is Step.START
