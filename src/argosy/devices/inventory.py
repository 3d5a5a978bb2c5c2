"""What one machine has for replicas: cores and memory always, GPUs where a source sees some. Looks; owns nothing."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from argosy.devices.device import Device, DeviceSource
from argosy.devices.nvml import Nvml
from argosy.devices.simulated import Simulated, SimulatedMachine
from argosy.engines import machine


@dataclass(frozen=True)
class Inventory:
    """Of one machine, now."""

    node: str
    cores: int
    memory_bytes: int  # what a container or a cgroup leaves us of it
    free_bytes: int
    devices: tuple[Device, ...] = ()
    has_gpu: bool = False  # also one that no source sees
    why_no_gpu: str = ""
    simulated: bool = False


class Machine:
    """This machine, or the one that a file tells of instead."""

    def __init__(self, source: DeviceSource, told: SimulatedMachine | None = None) -> None:
        self.source = source
        self._told = told

    @classmethod
    def of(cls, file: Path | None, variables: Mapping[str, str]) -> Machine:
        """`file`: ARGOSY_DEVICES. Raises InputError for one that cannot be read."""
        if file is None:
            return cls(Nvml(visible=variables.get("CUDA_VISIBLE_DEVICES")))
        told = SimulatedMachine.read(file)
        return cls(Simulated(told), told)

    def look(self) -> Inventory:
        found, told = self.source.find(), self._told
        memory = (told.memory if told else None) or machine.memory_limit_bytes()
        return Inventory(
            node=platform.node(),
            cores=(told.cores if told else None) or machine.cores(),
            memory_bytes=memory,
            free_bytes=min(memory, machine.available_memory_bytes()),
            devices=found.devices,
            has_gpu=bool(found.devices) or (told is None and machine.has_gpu()),
            why_no_gpu=found.why_none,
            simulated=told is not None,
        )
