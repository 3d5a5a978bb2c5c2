"""GPUs that a file tells of (ARGOSY_DEVICES): placement is tried and tested without any. Everything then says so.

cores: 64
memory: 512GiB
devices:
  - {index: 0, name: A100, uuid: GPU-0, memory: 80GiB}
  - {index: 1, name: A100, uuid: GPU-1, memory: 80GiB, used: 20GiB}   # by others
  - {index: 2, name: A100, uuid: GPU-2, memory: 80GiB, mig: true}      # split
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from argosy.config.faults import findings
from argosy.config.schema import Bytes, Settings
from argosy.devices.device import Device, Found
from argosy.errors import InputError


class SimulatedDevice(Settings):
    index: Annotated[int, Field(ge=0, le=1024)]
    name: str = "GPU"
    uuid: str = ""
    memory: Bytes
    used: Bytes = 0
    mig: bool = False


class SimulatedMachine(Settings):
    """What a file tells. `cores`, `memory`: the machine's own where left out."""

    cores: Annotated[int, Field(ge=1)] | None = None
    memory: Bytes | None = None
    devices: tuple[SimulatedDevice, ...] = ()

    @classmethod
    def read(cls, path: Path) -> SimulatedMachine:
        """Raises InputError with every fault."""
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(f"ARGOSY_DEVICES={path} cannot be read: {error}") from None
        try:
            machine = cls.model_validate({} if data is None else data)
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, where))}: {what}" for where, what in findings(error, cls)]
            raise InputError("\n  ".join([f"ARGOSY_DEVICES={path} has {len(faults)} fault(s):", *faults])) from None
        indices = [each.index for each in machine.devices]
        if twice := sorted({index for index in indices if indices.count(index) > 1}):
            raise InputError(f"ARGOSY_DEVICES={path}: index {twice[0]} is given twice")
        return machine


class Simulated:
    """The source of such devices: nobody's processes hold anything of them."""

    def __init__(self, machine: SimulatedMachine) -> None:
        self._devices = tuple(
            Device(
                index=each.index,
                uuid=each.uuid or f"GPU-{each.index}",
                name=each.name,
                memory_bytes=each.memory,
                used_bytes=min(each.used, each.memory),
                simulated=True,
                mig=each.mig,
            )
            for each in sorted(machine.devices, key=lambda each: each.index)
        )

    def find(self) -> Found:
        return Found(devices=self._devices, why_none="" if self._devices else "the simulated machine has none")

    def used_by(self, pids: Collection[int]) -> dict[int, int]:
        del pids
        return {}
