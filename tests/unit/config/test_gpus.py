"""What a fleet file and a command line may say of GPUs."""

from __future__ import annotations

from typing import Any

import pytest

from argosy.config.environment import Environment
from argosy.config.gpus import check_gpus, pins_of
from argosy.config.load import check_fleet, fleet_of_sources
from argosy.errors import FleetFileError, InputError

NOWHERE = Environment.read({})


def checked(**fields: Any) -> Any:
    data = {"deployments": {"a": {"engine": "echo", **fields}}}
    return check_fleet(data, NOWHERE, file="sent").deployments["a"]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("auto", "auto"),
        (2, 2),
        ("2", 2),
        (0, 0),
        ([2], (2,)),
        ([0, 1], (0, 1)),
        ([[0, 1], ["2", 3]], ((0, 1), (2, 3))),
    ],
)
def test_gpus_may_be_written_so(given: object, meant: object) -> None:
    assert check_gpus(given) == meant


@pytest.mark.parametrize("given", ["all", -1, True, [], [[]], [[0], 1], [0, 0], [1.5], [-1], {"a": 1}])
def test_and_not_so(given: object) -> None:
    with pytest.raises(ValueError, match="write a number of GPUs, auto, indices"):
        check_gpus(given)


def test_pins_are_one_list_for_all_or_one_for_each() -> None:
    assert [pins_of((2, 3), index) for index in (0, 1)] == [(2, 3), (2, 3)]
    assert [pins_of(((2,), (3,)), index) for index in (0, 1)] == [(2,), (3,)]
    assert pins_of("auto", 0) is pins_of(2, 0) is pins_of(None, 0) is None


def test_lists_say_how_many_replicas_there_are() -> None:
    assert checked(gpus=[[2], [3]]).replicas == 2


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"gpus": [[0]], "replicas": 2}, "gpus: has a list for 1 of 2 replicas"),
        ({"gpus": [[0], [1]], "replicas": 1}, "gpus: has 2 lists, and replicas is 1"),
        ({"gpus": [0, 1, 2, 3], "tensor_parallel": 2}, "write [[0, 1], [2, 3]]"),
        ({"gpus": 3, "tensor_parallel": 2}, "is 2, and gpus gives each replica 3"),
        ({"gpus": 1, "device": "cpu"}, "gpus: device is cpu, so there are none"),
        ({"gpus": 0, "memory_fraction": 0.5}, "memory_fraction: gpus is 0, so there are none"),
        (
            {"gpus": 1, "env": {"CUDA_VISIBLE_DEVICES": "0"}},
            "env: CUDA_VISIBLE_DEVICES is what gpus decides: leave one of them out",
        ),
        ({"gpus": 0, "device": "gpu"}, "device: gpus is 0, so there are none"),
        ({"device": "cpu", "env": {"CUDA_VISIBLE_DEVICES": "0"}}, "env: CUDA_VISIBLE_DEVICES is what device decides"),
        ({"device": "cuda"}, "device: 'cuda' is none of auto, cpu, gpu"),
        ({"memory_fraction": 1.5}, "memory_fraction: must be at most 1, got 1.5"),
    ],
)
def test_what_does_not_go_together_is_told(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(FleetFileError) as caught:
        checked(**fields)
    assert fault in str(caught.value)


def test_sizes_are_written_with_their_unit() -> None:
    def reserve(size: object) -> int:
        return check_fleet({"budget": {"reserve": size}}, NOWHERE, file="sent").budget.reserve

    assert [reserve(size) for size in ("2GiB", "512 MiB", "1.5 GB", 7)] == [2 << 30, 512 << 20, 1_500_000_000, 7]
    with pytest.raises(FleetFileError, match="'much' is no size: write one such as 80GiB"):
        reserve("much")


def test_a_command_line_pins_by_an_at_sign() -> None:
    found = fleet_of_sources(["smollm2@2", "smollm2@3,4", "qwen3:8b"], NOWHERE).deployments
    assert (found["smollm2"].replicas, found["smollm2"].gpus) == (2, ((2,), (3, 4)))
    other = next(name for name in found if name != "smollm2")
    assert found[other].gpus is None


def test_gpus_of_a_command_line_are_for_all_that_name_none() -> None:
    found = fleet_of_sources(["smollm2@0", "smollm2"], NOWHERE, (2, 3)).deployments
    assert found["smollm2"].gpus == ((0,), (2, 3))


@pytest.mark.parametrize("sources", [["smollm2@2", "smollm2"], ["smollm2@2,2"], ["smollm2@99999"]])
def test_a_command_line_that_cannot_be_meant_is_refused(sources: list[str]) -> None:
    with pytest.raises(InputError):
        fleet_of_sources(sources, NOWHERE)
