from __future__ import annotations

import pytest

from argosy.protocol.admin import FleetTable
from argosy.protocol.deployment import DeploymentRecord, RemoteRecord
from argosy.protocol.endpoints import CHAT
from argosy.registry import health
from argosy.registry.records import Replica
from argosy.registry.registry import Registry
from voices import WorkerVoice

DIED = "engine_died"


class Stage:
    """A registry with replicas of one deployment, m, that all serve since long ago, and a clock."""

    def __init__(self, replicas: int = 2, **fields: object) -> None:
        self.registry = Registry()
        self.now = 0.0
        self.voices = [WorkerVoice(f"m.{index}", **{"concurrency": 4, **fields}) for index in range(replicas)]
        self.beat()
        self.wait(60)

    def beat(self, **changes: object) -> None:
        for voice in self.voices:
            self.registry.apply_heartbeat(voice.beat(**changes), self.now)

    def wait(self, seconds: float) -> None:
        """Time passes, with a heartbeat and a sweep every half second."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + 0.5)
            self.beat()
            self.registry.sweep(self.now, self.now)

    def replica(self, index: int = 0) -> Replica:
        return self.registry.replicas[f"m.{index}"]

    @property
    def routable(self) -> list[str]:
        return [replica.id for replica in self.registry.deployments["m"].routable]

    def fail(self, times: int = 1, *, index: int = 0, code: str = DIED, answered: str = "") -> None:
        for _ in range(times):
            self.registry.report_failure(self.replica(index), code, "it broke off", self.now, answered=answered)

    def succeed(self, index: int = 0) -> None:
        self.registry.report_success(self.replica(index), self.now)

    def probe(self, fault: str | None = None, *, index: int = 0, answered: bool = False) -> None:
        self.registry.report_probe(self.replica(index), fault, self.now, answered=answered)


# the rules


def test_who_fails_again_and_again_is_out_and_on_trial_at_once_but_never_the_last() -> None:
    enough = health.FAILURES_TO_EJECT
    assert [health.is_out(count, on_trial=False, others=True) for count in (enough - 1, enough)] == [False, True]
    assert health.is_out(1, on_trial=True, others=True)
    assert not health.is_out(100, on_trial=True, others=False)


def test_every_relapse_costs_more_time_up_to_a_bound() -> None:
    assert [health.pause_seconds(ejections) for ejections in range(6)] == [0, 0, 1, 2, 4, 8]
    assert health.pause_seconds(10_000) == health.LONGEST_PAUSE_SECONDS


def test_a_share_grows_from_a_tenth_to_all() -> None:
    assert [health.share(seconds) for seconds in (0, 0.9, 2.5, 9.9, 10, 1000)] == [0.1, 0.1, 0.2, 0.9, 1, 1]


# ejection by failures


def test_failures_in_a_row_eject_a_replica() -> None:
    stage = Stage()
    stage.fail(health.FAILURES_TO_EJECT - 1)
    assert stage.routable == ["m.0", "m.1"]
    stage.fail()
    assert stage.routable == ["m.1"]
    (view, _) = stage.registry.views()
    assert (view.state, view.routable) == ("ready", False)
    assert view.reason == "5 requests failed in a row, the last one: it broke off"
    assert (stage.replica().ejections, stage.replica().errors) == (1, {DIED: 5})


def test_a_success_between_them_begins_anew() -> None:
    stage = Stage()
    for _ in range(3):
        stage.fail(health.FAILURES_TO_EJECT - 1)
        stage.succeed()
    assert stage.routable == ["m.0", "m.1"]


@pytest.mark.parametrize("code", ["total_timeout", "engine_unreachable", "no_upstream_key"])
def test_failures_that_tell_nothing_of_its_health_do_not_count(code: str) -> None:
    stage = Stage()
    stage.fail(100, code=code)
    assert stage.routable == ["m.0", "m.1"]
    assert stage.replica().errors == {code: 100}


def test_the_last_routable_replica_is_never_ejected_for_failures() -> None:
    stage = Stage()
    stage.fail(100, index=1)
    stage.fail(100)
    assert stage.routable == ["m.0"]


def test_a_failing_replica_is_better_than_nobody_and_serves_again_once_it_succeeds() -> None:
    stage = Stage()
    stage.fail(5)
    stage.registry.eject(stage.replica(1), "connection refused", stage.now)
    assert stage.routable == ["m.0"]
    assert stage.replica().ejected
    stage.succeed()
    assert (stage.routable, stage.replica().ejected, stage.replica().failures) == (["m.0"], False, 0)


def test_a_failing_replica_that_is_not_reached_either_is_as_good_as_nobody() -> None:
    stage = Stage()
    stage.fail(5)
    stage.registry.eject(stage.replica(1), "connection refused", stage.now)
    stage.registry.eject(stage.replica(0), "connection refused", stage.now)
    assert stage.routable == []


def test_the_success_of_a_request_from_before_brings_nobody_back() -> None:
    stage = Stage()
    stage.fail(5)
    stage.succeed()
    assert stage.routable == ["m.1"]


def test_a_new_incarnation_begins_with_a_clean_slate() -> None:
    stage = Stage()
    stage.fail(5)
    stage.beat(epoch=2)
    assert stage.routable == ["m.0", "m.1"]
    assert (stage.replica().capacity, stage.replica().failures, stage.replica().relapses) == (4, 0, 0)


def test_a_remote_is_ejected_alike() -> None:
    registry = Registry()
    remote = RemoteRecord(deployment="m", urls=["http://a/v1", "http://b/v1"])
    registry.apply_table(
        FleetTable(revision=1, deployments=[DeploymentRecord(name="m", revision=1)], remotes=[remote]), 0
    )
    for replica in registry.replicas.values():
        registry.report_probe(replica, None, 0)
    failing = registry.replicas["m.0"]
    for _ in range(5):
        registry.report_failure(failing, DIED, "it broke off", 1)
    assert registry.deployments["m"].routable == (registry.replicas["m.1"],)
    registry.report_probe(failing, None, 2)
    assert failing in registry.deployments["m"].routable


# probes and trials


def test_a_replica_that_looks_bad_is_ejected_by_a_probe_that_finds_a_fault() -> None:
    stage = Stage()
    stage.fail(health.FAILURES_TO_PROBE)
    stage.probe()
    assert stage.routable == ["m.0", "m.1"]
    stage.probe("no answer to GET /health within 5 s")
    assert stage.routable == ["m.1"]
    assert stage.registry.views()[0].reason == "no answer to GET /health within 5 s"


def test_the_last_one_stays_whatever_a_probe_finds() -> None:
    stage = Stage(replicas=1)
    stage.fail(health.FAILURES_TO_PROBE)
    stage.probe("no answer to GET /health within 5 s")
    assert stage.routable == ["m.0"]


def test_who_comes_back_is_on_trial_until_one_request_has_succeeded() -> None:
    stage = Stage()
    stage.fail(5)
    stage.probe()
    assert (stage.routable, stage.replica().capacity) == (["m.0", "m.1"], 1)
    stage.succeed()
    assert stage.replica().capacity == 4


def test_who_answers_a_question_is_back_at_once_without_a_trial() -> None:
    stage = Stage()
    stage.fail(health.FAILURES_TO_EJECT, code="engine_error", answered=CHAT)
    assert stage.routable == ["m.1"]
    stage.probe(answered=True)
    assert stage.routable == ["m.0", "m.1"]
    replica = stage.replica()
    assert (replica.trial_until, replica.failures, replica.relapses, replica.doubted) == (0, 0, 0, "")
    assert replica.capacity == 4


def test_who_has_answered_a_question_is_only_asked_again_when_it_fails_in_its_own_words() -> None:
    stage = Stage()
    stage.fail(health.FAILURES_TO_EJECT, code="engine_error", answered=CHAT)
    stage.probe(answered=True)
    stage.fail(100, code="engine_error", answered=CHAT)
    assert stage.routable == ["m.0", "m.1"]
    assert stage.replica().failures >= health.FAILURES_TO_PROBE
    stage.probe("'Hi' was answered 500")
    assert stage.routable == ["m.1"]


def test_trust_is_for_a_while_and_for_words_of_its_own_alone() -> None:
    stage = Stage()
    stage.fail(2, code="engine_error", answered=CHAT)
    stage.probe(answered=True)
    stage.fail(health.FAILURES_TO_EJECT)
    assert stage.routable == ["m.1"]
    stage.probe(answered=True)
    stage.wait(health.TRUSTED_SECONDS)
    stage.fail(health.FAILURES_TO_EJECT, code="engine_error", answered=CHAT)
    assert stage.routable == ["m.1"]


def test_one_failure_on_trial_ejects_again_and_counts_as_a_relapse() -> None:
    stage = Stage()
    stage.fail(5)
    for relapses in (1, 2, 3):
        assert stage.replica().relapses == relapses
        stage.probe()
        stage.fail()
        assert stage.routable == ["m.1"]
    stage.probe()
    stage.succeed()
    assert stage.replica().relapses == 0


def test_a_trial_without_a_failure_ends_and_those_who_wait_are_told() -> None:
    stage = Stage()
    stage.fail(5)
    stage.probe()
    told = list[int]()
    stage.registry.on_change = lambda _: told.append(stage.replica().capacity)
    stage.wait(health.TRIAL_SECONDS - 0.5)
    assert (stage.replica().capacity, told) == (1, [])
    stage.wait(0.5)
    assert (stage.replica().capacity, told) == (4, [4])
    stage.fail()
    assert stage.routable == ["m.1"], "nothing has succeeded yet"


def test_who_comes_back_as_the_only_one_gets_all_at_once() -> None:
    stage = Stage(replicas=1)
    stage.registry.eject(stage.replica(), "connection refused", stage.now)
    assert stage.routable == []
    stage.probe()
    assert (stage.routable, stage.replica().capacity) == (["m.0"], 4)


# slow start and weights


def test_a_fresh_replicas_weight_grows_within_seconds_to_what_it_was_given() -> None:
    stage = Stage(weight=3.0)
    stage.voices.append(WorkerVoice("m.2", weight=3.0))
    stage.beat()
    weights = [stage.replica(2).weight]
    for _ in range(5):
        stage.wait(2)
        weights.append(stage.replica(2).weight)
    assert weights == pytest.approx([0.3, 0.6, 1.2, 1.8, 2.4, 3.0])
    assert stage.replica(0).weight == 3.0


@pytest.mark.parametrize("change", ["incarnation", "backoff", "ejection"])
def test_whoever_begins_to_serve_again_is_fresh_again(change: str) -> None:
    stage = Stage()
    if change == "incarnation":
        stage.beat(epoch=2)
    elif change == "backoff":
        stage.beat(state="backoff")
        stage.wait(30)
        stage.beat(state="ready")
    else:
        stage.fail(5)
        stage.wait(30)
        stage.probe()
    assert stage.replica().weight == pytest.approx(health.SLOW_START_SHARE)
    stage.wait(health.SLOW_START_SECONDS)
    assert stage.replica().weight == 1.0


def test_a_changed_weight_or_concurrency_holds_from_the_next_heartbeat_on() -> None:
    stage = Stage()
    stage.beat(weight=2.0, concurrency=7)
    assert (stage.replica().weight, stage.replica().capacity) == (2.0, 7)
