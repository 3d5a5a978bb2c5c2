"""Replicas whose worker was started by hand: called back first, one name is one model, aliases as long as they are."""

from __future__ import annotations

from typing import Any

import pytest

from argosy.protocol.admin import FleetTable
from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.replica import ModelIdentity
from argosy.registry.claims import conflict
from argosy.registry.registry import Registry
from voices import WorkerVoice

ONE = ModelIdentity(source="hf:org/one", weights="1" * 64)
TWO = ModelIdentity(source="/models/two.gguf", weights="2" * 64)
NOT_FETCHED = ModelIdentity(source="hf:org/two")


def worker(replica: str, model: ModelIdentity = ONE, aliases: tuple[str, ...] = (), **fields: Any) -> WorkerVoice:
    name = replica.rpartition(".")[0]
    record = DeploymentRecord(name=name, revision=1, aliases=list(aliases))
    return WorkerVoice(replica, record, by_hand=True, model=model, **fields)


def joined(*voices: WorkerVoice) -> Registry:
    registry = Registry()
    for voice in voices:
        beat(registry, voice)
    return registry


def beat(registry: Registry, voice: WorkerVoice, state: str | None = None, **changes: Any) -> None:
    registry.apply_heartbeat(voice.beat(state, **changes), 0.0)


def call_back(registry: Registry, replica: str, fault: str | None = None) -> None:
    registry.report_probe(registry.replicas[replica], fault, 0.0)


def routable(registry: Registry, model: str = "m") -> list[str]:
    found = registry.find(model)
    return [replica.id for replica in found.routable] if found else []


def test_nothing_is_sent_there_before_it_was_called_back() -> None:
    registry = joined(worker("m.aaaaaa"))
    assert routable(registry) == []
    call_back(registry, "m.aaaaaa", "no connection to 10.0.0.5")
    assert routable(registry) == []
    assert registry.replicas["m.aaaaaa"].refused == "no connection to 10.0.0.5"
    assert registry.views()[0].reason == "no connection to 10.0.0.5"
    call_back(registry, "m.aaaaaa")
    assert routable(registry) == ["m.aaaaaa"]
    assert registry.replicas["m.aaaaaa"].refused == ""


def test_another_start_of_its_engine_is_called_back_anew() -> None:
    voice = worker("m.aaaaaa")
    registry = joined(voice)
    call_back(registry, "m.aaaaaa")
    beat(registry, voice, epoch=2)
    assert routable(registry) == []
    call_back(registry, "m.aaaaaa")
    assert routable(registry) == ["m.aaaaaa"]


def test_a_newcomer_that_was_not_reached_is_no_sick_replica() -> None:
    registry = joined(WorkerVoice("m.0"), worker("m.aaaaaa"))
    call_back(registry, "m.aaaaaa", "no connection")
    call_back(registry, "m.aaaaaa")
    newcomer = registry.replicas["m.aaaaaa"]
    assert (newcomer.ejections, newcomer.trial_until) == (0, 0.0)


def test_the_fleets_own_replicas_wait_for_no_call() -> None:
    assert routable(joined(WorkerVoice("m.0"))) == ["m.0"]


def test_one_name_is_one_model_whoever_came_first_and_the_fleets_own_above_all() -> None:
    registry = joined(worker("m.aaaaaa", ONE), worker("m.bbbbbb", TWO))
    for replica in ("m.aaaaaa", "m.bbbbbb"):
        call_back(registry, replica)
    assert routable(registry) == ["m.aaaaaa"]
    assert "'m' is hf:org/one (weights 111111111111) here" in registry.replicas["m.bbbbbb"].refused
    assert "this worker's is /models/two.gguf (weights 222222222222)" in registry.replicas["m.bbbbbb"].refused
    beat(registry, WorkerVoice("m.0", model=TWO))
    assert routable(registry) == ["m.bbbbbb", "m.0"]
    assert "m.0" in registry.replicas["m.aaaaaa"].refused


def test_who_was_refused_serves_once_the_other_has_left() -> None:
    first = worker("m.aaaaaa", ONE)
    registry = joined(first, worker("m.bbbbbb", TWO))
    call_back(registry, "m.bbbbbb")
    beat(registry, first, "stopped")
    assert routable(registry) == ["m.bbbbbb"]


def test_an_alias_is_there_as_long_as_a_worker_that_brought_it_along() -> None:
    first, second = worker("m.aaaaaa", aliases=("gpt",)), worker("m.bbbbbb")
    registry = joined(first, second)
    call_back(registry, "m.aaaaaa")
    call_back(registry, "m.bbbbbb")
    assert routable(registry, "gpt") == ["m.aaaaaa", "m.bbbbbb"], "it names the deployment"
    assert [name for name, _ in registry.models()] == ["m", "gpt"]
    beat(registry, first, "stopped")
    assert registry.find("gpt") is None
    assert routable(registry) == ["m.bbbbbb"]


def test_a_worker_of_what_is_stopped_need_not_load_anything() -> None:
    registry = Registry()
    stopped = DeploymentRecord(name="m", revision=9, stopped=True)
    registry.apply_table(FleetTable(revision=1, deployments=[stopped]), 0.0)
    assert conflict("m", [], ONE, registry.find) == "'m' is stopped here: `argosy start m` starts it"


def test_a_worker_may_bring_an_alias_to_a_deployment_of_the_fleet() -> None:
    registry = Registry()
    registry.apply_table(FleetTable(revision=1, deployments=[DeploymentRecord(name="m", revision=9)]), 0.0)
    beat(registry, worker("m.aaaaaa", aliases=("gpt",)))
    assert registry.find("gpt") is registry.find("m")


# before it has joined


@pytest.mark.parametrize(
    ("name", "aliases", "model", "sentence"),
    [
        ("m", ["gpt"], ONE, ""),
        ("new", [], TWO, ""),
        ("m", [], TWO, "'m' is hf:org/one (weights 111111111111) here (served by m.aaaaaa on box)"),
        ("m", [], NOT_FETCHED, "or fetch hf:org/two first (argosy pull): then the weights themselves are compared"),
        ("gpt", [], ONE, "'gpt' is an alias of m here: give this worker another --name"),
        ("new", ["fresh", "gpt"], TWO, "'gpt' already names m here: take it out of --aliases"),
        ("new", ["m"], TWO, "'m' already names m here: take it out of --aliases"),
    ],
)
def test_a_claim_on_a_name_is_judged_in_a_sentence(
    name: str, aliases: list[str], model: ModelIdentity, sentence: str
) -> None:
    registry = joined(worker("m.aaaaaa", ONE, ("gpt",), node="box"))
    told = conflict(name, aliases, model, registry.find)
    assert sentence in told if sentence else told == ""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ONE, ModelIdentity(source="/elsewhere/renamed.gguf", weights=ONE.weights), True),
        (ONE, ModelIdentity(source=ONE.source, weights=TWO.weights), False),
        (NOT_FETCHED, ModelIdentity(source=NOT_FETCHED.source, weights=TWO.weights), True),
        (NOT_FETCHED, TWO, False),
    ],
)
def test_models_are_compared_by_their_weights_where_both_are_known(
    one: ModelIdentity, other: ModelIdentity, same: bool
) -> None:
    assert one.is_same(other) is same
    assert other.is_same(one) is same
