"""Where replicas run: nothing is oversold, pins are honoured, who runs stays, and who has no place hears why."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.config.needs import EngineNeeds
from argosy.config.schema import Fleet
from argosy.devices.device import Device
from argosy.engines.memory import MemoryNeed
from argosy.fleet.forecast import forecast
from argosy.fleet.launcher import LaunchedReplica, NodeInfo
from argosy.fleet.placement import Placement
from argosy.fleet.planner import placement_of, plan
from argosy.protocol.replica import ReplicaSpec

GIB = 1024**3


def node(name: str = "here", gpus: int = 4, gib: int = 80, used: Mapping[int, int] | None = None) -> NodeInfo:
    devices = tuple(
        Device(
            index=index,
            uuid=f"GPU-{name}-{index}",
            name="A100",
            memory_bytes=gib * GIB,
            used_bytes=(used or {}).get(index, 0) * GIB,
            simulated=True,
        )
        for index in range(gpus)
    )
    why = "" if gpus else "there is none"
    return NodeInfo(name, cores=8, memory_bytes=64 * GIB, devices=devices, has_gpu=bool(gpus), why_no_gpu=why)


def full(node: NodeInfo, placement: Placement) -> NodeInfo:
    """The node with every replica's budget in use, beside what strangers use."""
    used: Counter[int] = Counter()
    for place in placement.places.values():
        if place.node == node.name:
            used.update({device.index: device.budget_bytes for device in place.devices or ()})
    devices = [msgspec.structs.replace(each, used_bytes=each.used_bytes + used[each.index]) for each in node.devices]
    return dataclasses.replace(node, devices=tuple(devices))


def needs(gib: float, *, uses_gpu: bool = True, fills: bool = False, weights: str = "w") -> EngineNeeds:
    """Of so many GiB in all; without an overhead, so that figures are whole."""
    return EngineNeeds(MemoryNeed(weights, int(gib * GIB), gpu_overhead_bytes=0, fills=fills), uses_gpu)


def fleet(budget: dict[str, Any] | None = None, **deployments: dict[str, Any]) -> Fleet:
    each = {name: {"engine": "echo", **fields} for name, fields in deployments.items()}
    return Fleet.model_validate({"deployments": each, "budget": budget or {"memory_fraction": 1}})


class Run:
    """A fleet on nodes; `then` is the same nodes with what was placed before running there, and all of its memory
    taken."""

    def __init__(
        self,
        wanted: Fleet,
        known: Mapping[str, EngineNeeds] | None = None,
        nodes: list[NodeInfo] | None = None,
        before: Run | None = None,
    ) -> None:
        self.nodes = nodes or [node()]
        self.seen = [full(each, before.placement) for each in self.nodes] if before else self.nodes
        self.known = {**(before.known if before else {}), **(known or {})}
        launched = {spec.id: LaunchedReplica(spec=spec, alive=True) for spec in before.specs} if before else {}
        self.placement: Placement = placement_of(wanted, (), launched, nodes=self.seen, needs=self.known)
        current = {each.id: each.spec for each in launched.values()}
        self.specs: list[ReplicaSpec] = plan(wanted, (), current, placement=self.placement, gateways=[], revision=1)

    def then(self, wanted: Fleet, known: Mapping[str, EngineNeeds] | None = None) -> Run:
        return Run(wanted, known, self.nodes, before=self)

    def where(self) -> dict[str, list[int] | None]:
        return {
            replica: None if place.devices is None else [each.index for each in place.devices]
            for replica, place in self.placement.places.items()
        }

    def gib(self, replica: str) -> list[float]:
        return [each.budget_bytes / GIB for each in self.placement.places[replica].devices or ()]

    def generations(self) -> dict[str, int]:
        return {spec.id: spec.generation for spec in self.specs}

    def why_not(self, replica: str) -> str:
        return self.placement.refused[replica]


def test_a_list_for_each_replica_pins_each_where_it_says() -> None:
    assert Run(fleet(a={"replicas": 2, "gpus": [[2], [3]]})).where() == {"a.0": [2], "a.1": [3]}


def test_a_lists_order_is_the_order_in_which_the_engine_sees_them() -> None:
    assert Run(fleet(a={"gpus": [3, 1]})).where() == {"a.0": [3, 1]}


def test_replicas_of_a_deployment_are_spread() -> None:
    found = Run(fleet(a={"replicas": 4, "gpus": "auto"}), {"a": needs(10)})
    assert sorted(found.where().values(), key=str) == [[0], [1], [2], [3]]


def test_different_deployments_are_packed_where_the_least_is_left() -> None:
    found = Run(fleet(a={"gpus": 1}, b={"gpus": 1}, c={"gpus": 1}), {"a": needs(50), "b": needs(60), "c": needs(25)})
    assert found.where() == {"a.0": [1], "b.0": [0], "c.0": [1]}


def test_replicas_share_a_gpu_while_it_has_room() -> None:
    found = Run(fleet(a={"replicas": 3, "gpus": [0]}), {"a": needs(30)})
    assert found.where() == {"a.0": [0], "a.1": [0]}
    assert found.why_not("a.2") == (
        "a.2 is pinned to gpu0 and needs 30.0 GiB (weights 30.0, 0.00 for the engine itself) of it; left are 20.0 of "
        "80.0 on gpu0 beside a.0 30.0, a.1 30.0; gpu1, gpu2, gpu3 would hold it"
    )


def test_auto_takes_as_many_gpus_as_the_model_needs() -> None:
    found = Run(fleet(a={"gpus": "auto"}), {"a": needs(200)})
    assert found.where() == {"a.0": [0, 1, 2, 3]}
    assert found.gib("a.0") == [50.0] * 4


def test_nothing_said_takes_a_gpu_where_the_engine_can_use_one_and_else_the_cpu() -> None:
    found = Run(fleet(a={}, b={}, c={"device": "cpu"}), {"a": needs(30), "b": needs(1, uses_gpu=False), "c": needs(1)})
    assert found.where() == {"a.0": [0], "b.0": None, "c.0": []}
    alone = Run(fleet(a={}, c={"device": "cpu"}), {"a": needs(30)}, [node(gpus=0)])
    assert alone.where() == {"a.0": None, "c.0": []}


def test_whose_environment_says_which_gpus_it_sees_is_left_alone() -> None:
    found = Run(fleet(a={"env": {"CUDA_VISIBLE_DEVICES": "1"}}), {"a": needs(30)})
    assert found.where() == {"a.0": None}


def test_nothing_said_falls_back_to_the_cpu_when_no_gpu_has_room() -> None:
    found = Run(fleet(a={}), {"a": needs(60)}, [node(gpus=1, gib=24)])
    assert found.where() == {"a.0": []}
    assert found.placement.places["a.0"].why.startswith("no GPU has room: a.0 needs 60.0 GiB of GPU")


def test_the_budget_holds_back_a_fraction_and_a_reserve() -> None:
    one = {"a": {"gpus": [0], "memory_fraction": 0.5}, "b": {"gpus": [0], "memory_fraction": 0.42}}
    assert Run(fleet({"memory_fraction": 0.9}, **one)).why_not("b.0") == (
        "b.0 is pinned to gpu0 and needs 33.6 GiB (memory_fraction 0.42) of it; left are 32.0 of 72.0 on gpu0 beside "
        "a.0 40.0; gpu1, gpu2, gpu3 would hold it"
    )
    assert (
        Run(fleet({"memory_fraction": 1, "reserve": "7GiB"}, **one), nodes=[node(gpus=1)])
        .why_not("b.0")
        .endswith("left are 33.0 of 73.0 on gpu0 beside a.0 40.0; would fit: memory_fraction 0.41")
    )


def test_what_strangers_use_is_not_given_out() -> None:
    found = Run(fleet(a={"gpus": 1}), {"a": needs(60)}, [node(used={0: 30, 1: 79, 2: 5, 3: 25})])
    assert found.where() == {"a.0": [2]}
    full = Run(fleet(a={"gpus": 1}), {"a": needs(60)}, [node(gpus=1, used={0: 30})])
    assert "left are 50.0 of 80.0 on gpu0 beside others 30.0" in full.why_not("a.0")


def test_what_a_fleets_own_replicas_use_is_no_strangers() -> None:
    first = Run(fleet(a={"gpus": [0]}), {"a": needs(30)}, [node(gpus=1)])
    assert first.then(fleet(a={"gpus": [0]}, b={"gpus": [0]}), {"b": needs(50)}).where() == {"a.0": [0], "b.0": [0]}


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"gpus": [7]}, "a.0 is pinned to gpu7, and there is none: gpu0, gpu1, gpu2, gpu3 are (argosy devices)"),
        ({"gpus": 8}, "a.0 wants 8 GPUs, and here has 4"),
        (
            {"gpus": 2},
            "a.0 needs 250.0 GiB of each of 2 GPUs (weights 500.0, 0.00 for the engine itself); left are 80.0 of 80.0 "
            "on gpu0, 80.0 of 80.0 on gpu1, 80.0 of 80.0 on gpu2, 80.0 of 80.0 on gpu3; a smaller quantisation is "
            "needed: weights of at most 160.0 GiB would fit",
        ),
    ],
)
def test_an_impossible_wish_is_refused_with_the_reason_and_what_would_fit(wish: dict[str, Any], sentence: str) -> None:
    assert Run(fleet(a=wish), {"a": needs(500)}).why_not("a.0") == sentence


def test_what_would_fit_is_what_the_fullest_of_its_gpus_leaves() -> None:
    known = {"a": needs(120), "b": needs(500)}
    found = Run(fleet(a={"gpus": [0, 1]}, b={"gpus": "auto"}), known)
    assert found.why_not("b.0").endswith("weights of at most 160.0 GiB would fit"), (
        "two empty ones hold more than all four"
    )
    pinned = Run(fleet(a={"gpus": [0, 1]}, b={"gpus": [1, 2]}), known)
    assert pinned.why_not("b.0").endswith("weights of at most 40.0 GiB would fit")
    said = fleet(a={"gpus": [0, 1]}, b={"gpus": [2, 1], "memory_fraction": 0.9})
    assert Run(said, known).why_not("b.0").endswith("would fit: memory_fraction 0.25")


def test_who_wants_a_gpu_hears_why_none_is_seen() -> None:
    found = Run(fleet(a={"device": "gpu"}), nodes=[node(gpus=0)])
    assert found.why_not("a.0") == "a.0 wants a GPU: there is none; `device: cpu` serves it without one"


def test_a_gpu_that_is_split_by_mig_is_given_to_nobody() -> None:
    machine = node(gpus=2)
    first, second = machine.devices
    split = dataclasses.replace(machine, devices=(msgspec.structs.replace(first, mig=True), second))
    found = Run(fleet(a={"gpus": "auto", "check_memory": False}, b={"gpus": [0]}), {"a": needs(10)}, [split])
    assert found.where() == {"a.0": [1]}
    parts = "the plan gives out whole GPUs; name a part instead (argosy devices): `env: {CUDA_VISIBLE_DEVICES: MIG-…}`"
    assert found.why_not("b.0") == f"b.0 is pinned to gpu0, split by MIG: {parts}"
    only = dataclasses.replace(split, devices=split.devices[:1])
    assert (
        Run(fleet(a={"gpus": 1}), nodes=[only]).why_not("a.0") == f"a.0 wants a GPU, and split by MIG are gpu0: {parts}"
    )


def test_weights_that_each_replica_copies_count_for_each() -> None:
    found = Run(fleet(a={"device": "cpu", "replicas": 3}), {"a": needs(30, weights="")})
    assert sorted(found.where()) == ["a.0", "a.1"]
    assert "beside what others need (a.0 30.0, a.1 30.0)" in found.why_not("a.2")


def test_a_plan_tells_what_it_reckoned_with_and_what_it_could_not() -> None:
    known = needs(30)
    assert known.memory is not None
    lacks = dataclasses.replace(known.memory, unknown="config.json has no head_dim")
    wanted = fleet(a={"gpus": 1, "replicas": 2}, b={"device": "cpu"}, c={"gpus": 1})
    found = Run(wanted, {"a": dataclasses.replace(known, memory=lacks), "b": known, "c": EngineNeeds()})
    told = forecast(wanted, found.nodes, found.placement, found.specs, {})
    assert {each.id: each.needs for each in told.replicas} == {
        "a.0": "weights 30.0, its cache is not counted: config.json has no head_dim, 0.00 for the engine itself",
        "a.1": "weights 30.0, its cache is not counted: config.json has no head_dim, 0.00 for the engine itself",
        "b.0": "weights 30.0",
        "c.0": "",
    }
    assert told.notes == ["the cache of a is not counted: config.json has no head_dim"]


def test_memory_of_the_machine_is_not_oversold_and_shared_weights_count_once() -> None:
    wanted = fleet(a={"device": "cpu", "replicas": 2}, b={"device": "cpu"})
    found = Run(wanted, {"a": needs(40), "b": needs(30, weights="other")})
    assert sorted(found.where()) == ["a.0", "a.1"]
    assert found.why_not("b.0").startswith("b.0 needs at least 30.0 GiB of memory and 24.0 GiB are available here")


def test_who_sees_gpus_without_being_given_some_is_not_held_to_the_machines_memory() -> None:
    large = {"a": needs(140, uses_gpu=False)}
    assert Run(fleet(a={}), large).where() == {"a.0": None}
    assert "a.0" in Run(fleet(a={"device": "cpu"}), large).placement.refused
    assert "a.0" in Run(fleet(a={}), large, [node(gpus=0)]).placement.refused


def test_what_is_not_checked_is_placed_all_the_same_and_is_given_no_more_than_there_is() -> None:
    found = Run(fleet(a={"gpus": 1, "check_memory": False}), {"a": needs(200)})
    assert found.gib("a.0") == [80.0]


def test_of_unknown_size_it_gets_a_gpu_of_its_own() -> None:
    found = Run(fleet(a={"gpus": 1}, b={"gpus": 1}, c={"gpus": 1}), {"a": needs(10)}, [node(gpus=2)])
    assert found.where() == {"a.0": [0], "b.0": [1]}
    assert found.gib("b.0") == [80.0]
    assert "while the size of its weights is not known" in found.why_not("c.0")


def test_pinned_and_of_unknown_size_they_share_the_rest_of_a_gpu() -> None:
    found = Run(fleet(a={"gpus": [0]}, b={"gpus": [0]}, c={"gpus": 1}), {"c": needs(30)}, [node(gpus=2)])
    assert found.gib("a.0") == found.gib("b.0") == [40.0]
    assert found.where()["c.0"] == [1]


def test_who_fills_what_it_is_given_gets_the_rest_and_two_divide_it() -> None:
    found = Run(
        fleet(a={"gpus": [0]}, b={"gpus": [0]}, c={"gpus": [0]}),
        {"a": needs(10, fills=True), "b": needs(20, fills=True), "c": needs(30)},
    )
    assert (found.gib("a.0"), found.gib("b.0"), found.gib("c.0")) == ([20.0], [30.0], [30.0])


def test_who_fills_gives_back_only_when_that_lets_all_others_in() -> None:
    one = [node(gpus=1)]
    first = Run(fleet(a={"gpus": 1}), {"a": needs(10, fills=True)}, one)
    assert first.gib("a.0") == [80.0]
    more = first.then(fleet(a={"gpus": 1}, b={"gpus": 1}), {"b": needs(30)})
    assert (more.gib("a.0"), more.gib("b.0")) == ([50.0], [30.0])
    assert more.generations() == {"a.0": 2, "b.0": 1}
    too_much = first.then(fleet(a={"gpus": 1}, b={"gpus": 1}), {"b": needs(75)})
    assert too_much.generations() == {"a.0": 1}
    assert list(too_much.placement.refused) == ["b.0"]


def test_a_small_change_moves_nobody() -> None:
    known = {"a": needs(30), "b": needs(40), "c": needs(60)}
    first = Run(fleet(a={"gpus": 1, "replicas": 3}, b={"gpus": 1}), known)
    then = first.then(fleet(a={"gpus": 1, "replicas": 2}, b={"gpus": 1}, c={"gpus": "auto"}))
    kept = {replica: where for replica, where in first.where().items() if replica != "a.2"}
    assert {replica: then.where()[replica] for replica in kept} == kept
    assert set(then.generations().values()) == {1}


def test_the_same_place_in_other_words_restarts_nothing() -> None:
    first = Run(fleet(a={"gpus": 1}), {"a": needs(30)})
    assert first.then(fleet(a={"gpus": [0]})).generations() == {"a.0": 1}
    moved = first.then(fleet(a={"gpus": [3]}))
    assert (moved.where(), moved.generations()) == ({"a.0": [3]}, {"a.0": 2})


def test_a_restart_comes_back_where_it_was() -> None:
    first = Run(fleet(a={"gpus": [2]}), {"a": needs(30)})
    again = first.then(fleet(a={"gpus": 1, "options": {"slots": 9}}))
    assert (again.where(), again.generations()) == ({"a.0": [2]}, {"a.0": 2})


def test_pins_find_the_node_that_has_them_and_replicas_are_spread_over_nodes() -> None:
    nodes = [node("small", gpus=1), node("big", gpus=4)]
    found = Run(fleet(p={"gpus": [3]}, a={"gpus": 1, "replicas": 2}), {"a": needs(10), "p": needs(10)}, nodes)
    places = found.placement.places
    assert places["p.0"].node == "big"
    assert {places["a.0"].node, places["a.1"].node} == {"small", "big"}


def test_a_group_never_spans_nodes() -> None:
    found = Run(fleet(a={"gpus": 3}), {"a": needs(10)}, [node("x", gpus=2), node("y", gpus=2)])
    assert found.why_not("a.0") == "a.0 wants 3 GPUs, and x has 2"


# Properties

GPUS_OF = st.one_of(
    st.none(),
    st.just("auto"),
    st.integers(1, 4),
    st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True),
)
DEPLOYMENTS = st.lists(
    st.tuples(GPUS_OF, st.integers(0, 5), st.integers(1, 150), st.booleans(), st.booleans(), st.booleans()),
    min_size=1,
    max_size=6,
)
NODES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([16, 40, 80]), st.integers(0, 20)), min_size=1, max_size=3
)


def drawn(
    deployments: list[tuple[Any, int, int, bool, bool, bool]], machines: list[tuple[int, int, int]]
) -> tuple[Fleet, dict[str, EngineNeeds], list[NodeInfo]]:
    fields, known = {}, {}
    for number, (gpus, replicas, size, uses_gpu, fills, unknown) in enumerate(deployments):
        name = f"d{number}"
        fields[name] = {"replicas": replicas, **({"gpus": gpus} if gpus is not None else {})}
        known[name] = (
            EngineNeeds(uses_gpu=uses_gpu) if unknown else needs(size, uses_gpu=uses_gpu, fills=fills, weights=name)
        )
    nodes = [node(f"n{number}", gpus, gib, {0: min(used, gib)}) for number, (gpus, gib, used) in enumerate(machines)]
    return fleet({"memory_fraction": 0.9, "reserve": "1GiB"}, **fields), known, nodes


def check(found: Run, wanted: Fleet) -> None:
    """What holds of every plan."""
    taken: Counter[tuple[str, int]] = Counter()
    for place in found.placement.places.values():
        for device in place.devices or ():
            taken[place.node, device.index] += device.budget_bytes
    for each in found.nodes:
        for device in each.devices:
            room = min(int(device.memory_bytes * 0.9), device.memory_bytes - GIB) - device.used_bytes
            assert taken[each.name, device.index] <= max(0, room), f"{each.name} gpu{device.index} is oversold"
    all_of = {
        f"{name}.{index}" for name, deployment in wanted.deployments.items() for index in range(deployment.replicas)
    }
    assert found.placement.places.keys() | found.placement.refused.keys() == all_of
    assert not found.placement.places.keys() & found.placement.refused.keys()
    assert all(found.placement.refused.values())
    for name, deployment in wanted.deployments.items():
        for replica, indices in found.where().items():
            if not replica.startswith(f"{name}.") or deployment.gpus is None:
                continue
            assert indices, f"{replica} asked for a GPU and sees none"
            if isinstance(deployment.gpus, tuple):
                assert indices == list(deployment.gpus)
            elif isinstance(deployment.gpus, int):
                assert len(indices) == deployment.gpus


@settings(max_examples=60, deadline=None)
@given(DEPLOYMENTS, NODES)
def test_nothing_is_oversold_pins_are_honoured_and_each_has_a_place_or_a_reason(
    deployments: list[tuple[Any, int, int, bool, bool, bool]], machines: list[tuple[int, int, int]]
) -> None:
    wanted, known, nodes = drawn(deployments, machines)
    found = Run(wanted, known, nodes)
    check(found, wanted)
    again = Run(wanted, known, nodes)
    assert again.placement == found.placement, "the same question has the same answer"
    settled = found.then(wanted)
    assert settled.generations() == found.generations(), "who runs as wanted stays"
    assert settled.where() == found.where()


@settings(max_examples=60, deadline=None)
@given(DEPLOYMENTS, DEPLOYMENTS, NODES)
def test_after_any_change_nothing_is_oversold(
    deployments: list[tuple[Any, int, int, bool, bool, bool]],
    others: list[tuple[Any, int, int, bool, bool, bool]],
    machines: list[tuple[int, int, int]],
) -> None:
    wanted, known, nodes = drawn(deployments, machines)
    found = Run(wanted, known, nodes)
    after, known_then, _ = drawn(others, machines)
    then = found.then(after, known_then)
    check(then, after)
