from __future__ import annotations

import msgspec
import pytest

from argosy.protocol.admin import FleetTable
from argosy.protocol.deployment import DeploymentRecord, RemoteRecord
from argosy.protocol.heartbeat import LEASE_SECONDS
from argosy.protocol.replica import ReplicaState
from argosy.registry.records import Deployment
from argosy.registry.registry import FORGET_SECONDS, STALL_SECONDS, Registry
from argosy.registry.remotes import UNLIMITED
from voices import WorkerVoice

LATE = LEASE_SECONDS + 0.1


def told(registry: Registry, voice: WorkerVoice, now: float = 0.0, state: str | None = None, **changes: object) -> None:
    registry.apply_heartbeat(voice.beat(state, **changes), now)


def routable(registry: Registry, model: str = "m") -> list[str]:
    deployment = registry.find(model)
    return [replica.id for replica in deployment.routable] if deployment else []


def table(*records: DeploymentRecord, revision: int = 1, **fields: object) -> FleetTable:
    return FleetTable(revision=revision, deployments=list(records), **fields)  # type: ignore[arg-type]


def record(name: str = "m", revision: int = 1, **fields: object) -> DeploymentRecord:
    return DeploymentRecord(name=name, revision=revision, **fields)  # type: ignore[arg-type]


# heartbeats


def test_a_ready_replica_is_routable_and_no_other() -> None:
    registry, voice = Registry(), WorkerVoice()
    for state in [*ReplicaState, "from-the-future"]:
        told(registry, voice, state=state)
        if state != ReplicaState.STOPPED:
            assert routable(registry) == (["m.0"] if state == "ready" else []), state


def test_a_replayed_heartbeat_changes_nothing() -> None:
    registry, voice = Registry(), WorkerVoice()
    ready = voice.beat("ready")
    draining = voice.beat("draining")
    assert registry.apply_heartbeat(ready, 0) is not None
    assert registry.apply_heartbeat(draining, 1) is not None
    for old in (ready, draining):
        assert registry.apply_heartbeat(old, 2) is None
    replica = registry.replicas["m.0"]
    assert (replica.status.state, replica.heard_at) == ("draining", 1)
    assert routable(registry) == []


def test_a_stopped_replica_leaves_the_table_once_nobody_uses_it() -> None:
    registry, voice = Registry(), WorkerVoice()
    told(registry, voice)
    replica = registry.replicas["m.0"]
    registry.acquire(replica)
    told(registry, voice, state="stopped")
    assert registry.replicas["m.0"] is replica
    assert routable(registry) == []
    registry.release(replica)
    told(registry, voice)
    assert "m.0" not in registry.replicas


def test_a_draining_replica_keeps_its_requests_and_gets_no_more() -> None:
    registry, voice = Registry(), WorkerVoice()
    told(registry, voice)
    registry.acquire(registry.replicas["m.0"])
    told(registry, voice, state="draining")
    assert (routable(registry), registry.replicas["m.0"].in_flight) == ([], 1)


def test_requests_in_flight_are_counted_over_incarnations() -> None:
    registry, voice = Registry(), WorkerVoice()
    told(registry, voice)
    registry.acquire(registry.replicas["m.0"])
    told(registry, voice, epoch=2, address="http://127.0.0.1:10")
    assert registry.replicas["m.0"].in_flight == 1


def test_a_lease_that_runs_out_takes_a_replica_out_and_the_next_heartbeat_brings_it_back() -> None:
    registry, silent, lively = Registry(), WorkerVoice("m.0"), WorkerVoice("m.1")
    told(registry, silent)
    told(registry, lively)
    told(registry, lively, LATE)
    registry.sweep(LATE, LATE)
    assert routable(registry) == ["m.1"]
    told(registry, silent, LATE)
    assert routable(registry) == ["m.0", "m.1"]


def test_when_all_leases_run_out_the_least_stale_is_better_than_nobody() -> None:
    registry, voices = Registry(), [WorkerVoice(f"m.{index}") for index in range(3)]
    for index, heard_at in enumerate([0.0, 0.4, 0.2]):
        told(registry, voices[index], heard_at)
    registry.sweep(10, 10)
    assert routable(registry) == ["m.1"]
    registry.eject(registry.replicas["m.1"], "refused", 10)
    assert routable(registry) == ["m.2"]


def test_our_own_stall_is_not_taken_for_the_workers_silence() -> None:
    registry, first, second = Registry(), WorkerVoice("m.0"), WorkerVoice("m.1")
    told(registry, first, 0.0)
    told(registry, second, 0.2)
    stalled_until = LATE + STALL_SECONDS
    registry.sweep(stalled_until, due=0.5)
    assert routable(registry) == ["m.0", "m.1"]
    assert all(replica.heard_at <= stalled_until for replica in registry.replicas.values())
    registry.sweep(stalled_until + LATE, due=stalled_until + LATE)
    assert len(routable(registry)) == 1, "but silence after it is"


def test_a_replica_that_stays_silent_is_forgotten_once_nobody_uses_it() -> None:
    registry = Registry()
    told(registry, WorkerVoice())
    replica = registry.replicas["m.0"]
    registry.acquire(replica)
    registry.sweep(FORGET_SECONDS + 1, FORGET_SECONDS + 1)
    assert "m.0" in registry.replicas
    registry.release(replica)
    registry.sweep(FORGET_SECONDS + 1, FORGET_SECONDS + 1)
    assert (registry.replicas, registry.deployments) == ({}, {})


# ejection


def test_an_ejected_replica_comes_back_by_a_probe_and_not_by_its_heartbeat() -> None:
    registry, voice = Registry(), WorkerVoice()
    told(registry, voice)
    replica = registry.replicas["m.0"]
    registry.eject(replica, "connection refused", 0)
    told(registry, voice, 1)
    assert routable(registry) == []
    assert registry.views()[0].reason == "connection refused"
    registry.report_probe(replica, "still refused", 1)
    assert routable(registry) == []
    registry.report_probe(replica, None, 1)
    assert routable(registry) == ["m.0"]
    assert registry.views()[0].reason == ""


@pytest.mark.parametrize("change", [{"epoch": 2}, {"address": "http://127.0.0.1:10"}])
def test_an_ejected_replica_comes_back_as_a_new_incarnation(change: dict[str, object]) -> None:
    registry, voice = Registry(), WorkerVoice()
    told(registry, voice)
    registry.eject(registry.replicas["m.0"], "connection refused", 0)
    told(registry, voice, 1, **change)
    assert routable(registry) == ["m.0"]


def test_what_was_found_out_of_a_forgotten_replica_does_not_touch_its_successor() -> None:
    registry, voice = Registry(), WorkerVoice()
    told(registry, voice)
    forgotten = registry.replicas["m.0"]
    told(registry, voice, state="stopped")
    told(registry, voice, state="ready")
    registry.eject(forgotten, "connection refused", 0)
    assert routable(registry) == ["m.0"]
    registry.eject(registry.replicas["m.0"], "connection refused", 0)
    registry.report_probe(forgotten, None, 0)
    assert routable(registry) == []


# deployments


def test_a_deployment_that_only_workers_told_of_goes_with_its_last_replica() -> None:
    registry, voices = Registry(), [WorkerVoice(f"m.{index}", record(aliases=["n"])) for index in range(2)]
    for voice in voices:
        told(registry, voice)
    told(registry, voices[0], state="stopped")
    assert registry.find("n") is not None
    told(registry, voices[1], state="stopped")
    assert (registry.find("m"), registry.find("n")) == (None, None)


def test_a_deployment_of_the_table_stays_without_replicas() -> None:
    registry, voice = Registry(), WorkerVoice()
    registry.apply_table(table(record()), 0)
    told(registry, voice)
    told(registry, voice, state="stopped")
    assert registry.find("m") is not None


def test_a_deployment_that_left_the_table_goes_with_its_last_replica() -> None:
    registry, voice = Registry(), WorkerVoice()
    registry.apply_table(table(record()), 0)
    told(registry, voice)
    registry.apply_table(table(revision=2), 0)
    assert routable(registry) == ["m.0"]
    told(registry, voice, state="stopped")
    assert registry.find("m") is None


def test_the_table_with_the_highest_revision_wins() -> None:
    registry = Registry()
    assert registry.apply_table(table(record(replicas=2, revision=2), revision=2), 0)
    assert not registry.apply_table(table(record(replicas=1, revision=1), revision=1), 0)
    assert registry.deployments["m"].record.replicas == 2
    assert registry.apply_table(table(record(replicas=3, revision=3), revision=3), 0)
    assert registry.deployments["m"].record.replicas == 3


def test_the_newest_record_that_a_worker_tells_wins_where_no_table_does() -> None:
    registry = Registry()
    told(registry, WorkerVoice("m.0", record(revision=2, max_queue=2)))
    told(registry, WorkerVoice("m.1", record(revision=1, max_queue=1)))
    assert registry.deployments["m"].record.max_queue == 2
    told(registry, WorkerVoice("m.2", record(revision=3, max_queue=3)))
    assert registry.deployments["m"].record.max_queue == 3
    registry.apply_table(table(record(revision=4, max_queue=4)), 0)
    told(registry, WorkerVoice("m.3", record(revision=5, max_queue=5)))
    assert registry.deployments["m"].record.max_queue == 4


def test_a_deployment_is_found_by_its_aliases_and_a_name_before_an_alias() -> None:
    registry = Registry()
    registry.apply_table(table(record("a", aliases=["x", "b"]), record("b")), 0)
    assert registry.find("x") is registry.deployments["a"]
    assert registry.find("b") is registry.deployments["b"]
    assert [name for name, _ in registry.models()] == ["a", "b", "x"]
    registry.apply_table(table(record("a", revision=2, aliases=["y"]), record("b"), revision=2), 0)
    assert (registry.find("x"), registry.find("y")) == (None, registry.deployments["a"])


# settling


def test_a_deployment_is_settled_when_its_wanted_replicas_have_been_ready_once() -> None:
    registry, voices = Registry(), [WorkerVoice(f"m.{index}") for index in range(2)]
    registry.apply_table(table(record(replicas=2)), 0)
    deployment = registry.deployments["m"]
    told(registry, voices[0])
    assert not registry.settled(deployment)
    told(registry, voices[1])
    assert registry.settled(deployment)
    told(registry, voices[0], state="backoff")
    assert registry.settled(deployment), "it has been"
    registry.apply_table(table(record(replicas=3, revision=2), revision=2), 0)
    assert not registry.settled(deployment), "more are wanted"


def test_what_is_started_again_is_not_settled_before_it_is_ready_again() -> None:
    registry, voice = Registry(), WorkerVoice()
    registry.apply_table(table(record(replicas=1)), 0)
    told(registry, voice, state="ready")
    deployment = registry.deployments["m"]
    for revision, stopped in ((2, True), (3, False)):
        registry.apply_table(table(record(replicas=1, stopped=stopped, revision=revision), revision=revision), 0)
        told(registry, voice, state="stopped" if stopped else "starting")
    assert not registry.settled(deployment)
    told(registry, voice, state="ready")
    assert registry.settled(deployment)


def test_a_deployment_is_settled_when_what_is_missing_has_failed() -> None:
    registry, voices = Registry(), [WorkerVoice(f"m.{index}") for index in range(2)]
    registry.apply_table(table(record(replicas=2)), 0)
    told(registry, voices[0])
    told(registry, voices[1], state="failed", reason="no such file")
    assert registry.settled(registry.deployments["m"])
    assert registry.given_up(registry.deployments["m"]) == {"m.1": "no such file"}


def test_what_the_controller_gave_up_counts_until_it_lives_again() -> None:
    registry, voice = Registry(), WorkerVoice("a/m.0")
    failed = {"a/m.0": "5 starts in 10 minutes", "other.0": "x", "m.0": "x"}
    registry.apply_table(table(record("a/m"), failed=failed), 0)
    deployment = registry.deployments["a/m"]
    assert registry.given_up(deployment) == {"a/m.0": "5 starts in 10 minutes"}
    told(registry, voice, state="starting")
    assert registry.given_up(deployment) == {}


def test_a_replica_that_the_controller_gave_up_is_dead_once_it_is_silent() -> None:
    registry, changed = Registry(), list[Deployment]()
    told(registry, WorkerVoice())
    registry.on_change = changed.append
    dead = table(record(), failed={"m.0": "killed too often"})
    registry.apply_table(dead, 1)
    assert routable(registry) == ["m.0"], "it has spoken a moment ago"
    changed.clear()
    registry.apply_table(dead, LATE)
    assert routable(registry) == []
    assert registry.given_up(registry.deployments["m"]) == {"m.0": "killed too often"}
    assert registry.deployments["m"] in changed


def test_what_is_stopped_or_wants_no_replica_is_settled() -> None:
    registry = Registry()
    registry.apply_table(table(record("a", stopped=True), record("b", replicas=0), record("c")), 0)
    assert [registry.settled(registry.deployments[name]) for name in "abc"] == [True, True, False]


# remotes

REMOTE = RemoteRecord(deployment="m", urls=["http://a/v1", "http://b/v1"], model="theirs", weight=2.0)


def test_each_url_of_a_remote_is_a_replica_that_is_ready_once_a_probe_says_so() -> None:
    registry = Registry()
    registry.apply_table(table(record(replicas=2), remotes=[REMOTE]), 0)
    assert routable(registry) == []
    registry.report_probe(registry.replicas["m.1"], None, 0)
    assert routable(registry) == ["m.1"]
    status = registry.replicas["m.1"].status
    assert (status.address, status.upstream_model, status.weight, status.concurrency) == (
        "http://b/v1",
        "theirs",
        2.0,
        UNLIMITED,
    )
    registry.sweep(FORGET_SECONDS * 2, FORGET_SECONDS * 2)
    assert routable(registry) == ["m.1"], "no heartbeat speaks for it"
    registry.report_probe(registry.replicas["m.1"], "answered 500", 0)
    assert routable(registry) == []


def test_a_remote_is_made_anew_only_where_it_changed() -> None:
    registry = Registry()
    registry.apply_table(table(record(replicas=2), remotes=[REMOTE]), 0)
    first, second = registry.replicas["m.0"], registry.replicas["m.1"]
    for replica in (first, second):
        registry.report_probe(replica, None, 0)
    registry.apply_table(table(record(replicas=2), remotes=[REMOTE], revision=2), 0)
    assert registry.replicas == {"m.0": first, "m.1": second}
    fewer = msgspec.structs.replace(REMOTE, urls=["http://a/v1"])
    registry.apply_table(table(record(), remotes=[fewer], revision=3), 0)
    assert list(registry.replicas) == ["m.0"]
    assert registry.replicas["m.0"] is not first
    assert routable(registry) == []


def test_a_remote_that_will_never_come_is_told_to_those_who_wait() -> None:
    registry, changed = Registry(), list[Deployment]()
    registry.apply_table(table(record(), remotes=[msgspec.structs.replace(REMOTE, urls=["http://a/v1"])]), 0)
    registry.on_change = changed.append
    registry.report_probe(registry.replicas["m.0"], "its key is not set", 0, for_good=True)
    assert changed == [registry.deployments["m"]]
    assert registry.given_up(registry.deployments["m"]) == {"m.0": "its key is not set"}


def test_a_remote_that_left_the_table_is_gone() -> None:
    registry = Registry()
    registry.apply_table(table(record(), remotes=[REMOTE]), 0)
    registry.apply_table(table(revision=2), 0)
    assert (registry.replicas, registry.deployments) == ({}, {})


# changes


def test_every_change_of_who_is_routable_is_told() -> None:
    changes = list[list[str]]()
    registry = Registry(lambda deployment: changes.append([replica.id for replica in deployment.routable]))
    voice = WorkerVoice()
    told(registry, voice, state="starting")
    told(registry, voice, state="ready")
    told(registry, voice, state="ready")
    registry.eject(registry.replicas["m.0"], "refused", 0)
    registry.report_probe(registry.replicas["m.0"], None, 0)
    told(registry, voice, state="stopped")
    assert [change for change, before in zip(changes, [None, *changes], strict=False) if change != before] == [
        ["m.0"],
        [],
        ["m.0"],
        [],
    ]


def test_a_lease_released_twice_is_our_own_mistake() -> None:
    registry = Registry()
    told(registry, WorkerVoice())
    with pytest.raises(AssertionError, match=r"m\.0 was released more often"):
        registry.release(registry.replicas["m.0"])


def test_views_tell_what_this_gateway_sees() -> None:
    registry = Registry()
    told(registry, WorkerVoice(node="n1", devices=["gpu0"], worker_pid=7, engine_pid=8, restarts=2))
    registry.acquire(registry.replicas["m.0"])
    (view,) = registry.views()
    assert (view.id, view.deployment, view.state, view.in_flight, view.routable) == ("m.0", "m", "ready", 1, True)
    assert (view.node, view.devices, view.worker_pid, view.engine_pid, view.restarts) == ("n1", ["gpu0"], 7, 8, 2)
