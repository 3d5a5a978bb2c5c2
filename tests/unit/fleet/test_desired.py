"""What each command makes of what is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from argosy.config.schema import Fleet
from argosy.errors import InputError, NotFoundError
from argosy.fleet.desired import Desired


def desired(**deployments: dict[str, Any]) -> Desired:
    named = {name: {"engine": "echo", **each} for name, each in deployments.items()}
    return Desired(Fleet.model_validate({"deployments": named}), 10)


FAR = {"engine": "remote", "urls": ["http://127.0.0.1:1/v1"]}


def test_a_revision_always_grows_also_when_the_clock_goes_back() -> None:
    assert desired(a={}).with_stopped("a", 99).revision == 99
    assert desired(a={}).with_stopped("a", 3).revision == 11


def test_it_is_read_back_as_it_was_written() -> None:
    wanted = desired(a={"replicas": 3}).with_drained("a.1", 0).with_stopped("a", 0).with_started("a", 0)
    wanted = wanted.with_drained("a.2", 0).with_restart("a", 0)
    assert Desired.of(wanted.state()) == wanted


def test_scaling_changes_the_fleet_itself_and_up_takes_it_back() -> None:
    wanted = desired(a={"options": {"slots": 2}}, b={}).with_replicas("a", 3, 0)
    assert wanted.fleet.deployments["a"].replicas == 3
    assert wanted.fleet.deployments["a"].options == {"slots": 2}
    assert wanted.fleet.deployments["b"].replicas == 1
    assert wanted.applied(desired(a={}, b={}).fleet, 0).fleet.deployments["a"].replicas == 1


@pytest.mark.parametrize("replicas", [-1, 1001])
def test_a_number_of_replicas_beyond_the_schema_is_refused(replicas: int) -> None:
    with pytest.raises(InputError, match=f"a: {replicas} replicas cannot be had"):
        desired(a={}).with_replicas("a", replicas, 0)


def test_what_runs_elsewhere_is_neither_scaled_nor_restarted_nor_drained() -> None:
    wanted = desired(far=FAR)
    with pytest.raises(InputError, match="far is remote: it has one replica for each of its urls"):
        wanted.with_replicas("far", 2, 0)
    with pytest.raises(InputError, match="far is remote: it runs elsewhere"):
        wanted.with_restart("far", 0)
    with pytest.raises(InputError, match=r"far\.0 is remote: take its URL out of the fleet file"):
        wanted.with_drained("far.0", 0)


def test_the_gateway_and_all_workers_are_stopped_and_started_by_name() -> None:
    wanted = desired(a={}, b={}, far=FAR).with_drained("b.0", 0)
    stopped = wanted.with_stopped("workers", 0).with_stopped("gateway", 0)
    assert (stopped.stopped, stopped.gateway_stopped) == ({"a", "b", "gateway"}, True), "a remote has no worker"
    assert Desired.of(stopped.state()) == stopped
    started = stopped.with_started("workers", 0)
    assert (started.stopped, started.drained) == ({"gateway"}, frozenset())
    assert not started.with_started("gateway", 0).gateway_stopped
    assert not stopped.applied(stopped.fleet, 0).stopped
    with pytest.raises(NotFoundError, match="no deployment 'all'"):
        wanted.with_started("all", 0)


def test_a_stopped_deployment_is_started_not_restarted() -> None:
    with pytest.raises(InputError, match="`argosy start a` starts it"):
        desired(a={}).with_stopped("a", 0).with_restart("a", 0)


def test_a_drained_replica_comes_back_alone_with_its_deployment_or_by_scaling() -> None:
    wanted = desired(a={"replicas": 3}).with_drained("a.1", 0).with_drained("a.2", 0)
    assert wanted.drained == {"a.1", "a.2"}
    assert wanted.with_started("a.1", 0).drained == {"a.2"}
    assert wanted.with_started("a", 0).drained == frozenset()
    assert wanted.with_replicas("a", 3, 0).drained == frozenset()
    assert wanted.with_restart("a", 0).drained == {"a.1", "a.2"}


def test_only_a_replica_of_the_fleet_can_be_drained() -> None:
    wanted = desired(**{"a": {"replicas": 2}, "org/b.5": {}})
    for replica, sentence in {
        "a": "a is a deployment: `argosy stop a` stops it",
        "a.2": "a has no replica 'a.2'; it has: a.0, a.1",
        "a.01": "a has no replica 'a.01'",
        "a.0a1b2c": "was started by hand",
        "x.0": "the fleet has no replica 'x.0'; its deployments: a, org/b.5",
    }.items():
        with pytest.raises((InputError, NotFoundError), match=sentence):
            wanted.with_drained(replica, 0)
    assert wanted.with_drained("org/b.5.0", 0).drained == {"org/b.5.0"}


def test_an_unknown_deployment_is_named_with_those_that_exist() -> None:
    with pytest.raises(NotFoundError, match="no deployment 'x'; it has: a"):
        desired(a={}).with_replicas("x", 1, 0)
