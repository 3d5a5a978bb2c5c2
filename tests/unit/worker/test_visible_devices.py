from __future__ import annotations

import pytest

from argosy.protocol.replica import AssignedDevice
from argosy.worker.visible_devices import device_labels, device_variables


def given(index: int, *, simulated: bool = False) -> AssignedDevice:
    return AssignedDevice(
        index=index, uuid=f"GPU-{index}-uuid", memory_bytes=1000, budget_bytes=333, simulated=simulated
    )


def test_real_gpus_are_named_by_their_uuid_in_the_order_of_the_list() -> None:
    variables = device_variables([given(3), given(1)])
    assert variables["CUDA_VISIBLE_DEVICES"] == "GPU-3-uuid,GPU-1-uuid"
    assert variables["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_simulated_gpus_are_named_by_their_number() -> None:
    assert device_variables([given(3, simulated=True)])["CUDA_VISIBLE_DEVICES"] == "3"
    assert device_labels([given(3, simulated=True)]) == ["gpu3 (simulated)"]


def test_the_cpu_alone_sees_no_gpu_and_nothing_said_changes_nothing() -> None:
    assert device_variables(())["CUDA_VISIBLE_DEVICES"] == "-1"
    assert device_labels(()) == ["cpu"]
    assert (device_variables(None), device_labels(None)) == ({}, [])


@pytest.mark.parametrize(("budget", "fraction"), [(333, 0.333), (1000, 1.0), (999, 0.999)])
def test_a_fraction_is_never_more_than_the_budget(budget: int, fraction: float) -> None:
    assert AssignedDevice(index=0, uuid="", memory_bytes=1000, budget_bytes=budget).fraction == fraction
