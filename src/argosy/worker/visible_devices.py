"""What an engine's environment says of GPUs: it sees those that its replica was given, and no others. Pure.

Set before the program begins, so that no library can have looked around before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from argosy.protocol.replica import AssignedDevice

# "-1" and not "": some programs take an empty variable for one that is not set, and then see all.
_NONE = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "NVIDIA_VISIBLE_DEVICES": "void",
    "HIP_VISIBLE_DEVICES": "-1",
}


def device_variables(devices: Sequence[AssignedDevice] | None) -> Mapping[str, str]:
    """None: nobody says, so that the engine sees what its worker sees."""
    if devices is None:
        return {}
    if not devices:
        return _NONE
    # A real one by its UUID, which no order of the driver's changes; a simulated one has none that a driver would know.
    visible = ",".join(str(each.index) if each.simulated or not each.uuid else each.uuid for each in devices)
    # NVIDIA_…: for wrappers that start a container of their own (apptainer, enroot). PCI_BUS_ID: what NVML counts by.
    return {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": visible,
        "NVIDIA_VISIBLE_DEVICES": visible,
    }


def device_labels(devices: Sequence[AssignedDevice] | None) -> list[str]:
    """As `argosy ps` shows them."""
    if devices is None:
        return []
    return [each.label for each in devices] or ["cpu"]
