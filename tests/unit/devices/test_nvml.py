"""NVIDIA's GPUs, by a library that keeps the contract of nvidia-ml-py's; and the real one where there is no driver."""
# ruff: noqa: N802 - the names are the library's

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from argosy.devices.nvml import Nvml

GIB = 1024**3


@dataclass
class Library:
    """What of pynvml is asked, of GPUs of 80 GiB."""

    class NVMLError(Exception):
        pass

    NVML_DEVICE_MIG_ENABLE = 1

    gpus: int = 2
    parts: dict[int, list[str]] = field(default_factory=dict)  # of those that are split
    running: dict[int, list[Any]] = field(default_factory=dict)
    broken: str = ""
    starts: int = 0

    def nvmlInit(self) -> None:
        self.starts += 1
        if self.broken:
            raise self.NVMLError(self.broken)

    def nvmlDeviceGetCount(self) -> int:
        if self.broken:
            raise self.NVMLError(self.broken)
        return self.gpus

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=80 * GIB, used=handle * GIB, free=(80 - handle) * GIB)

    def nvmlDeviceGetUUID(self, handle: int | str) -> str:
        return f"MIG-{handle}" if isinstance(handle, str) else f"GPU-{handle}a-b"

    def nvmlDeviceGetName(self, handle: int | str) -> bytes:
        return b"NVIDIA A100 MIG 3g.40gb" if isinstance(handle, str) else b"NVIDIA A100"

    def nvmlDeviceGetMigMode(self, handle: int) -> list[int]:
        if not self.parts:
            raise self.NVMLError("Not Supported")
        return [int(handle in self.parts), 0]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: int) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: int, number: int) -> str:
        if number >= len(self.parts[handle]):
            raise self.NVMLError("Not Found")
        return self.parts[handle][number]

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        if handle not in self.running:
            raise self.NVMLError("Not Supported")
        return self.running[handle]


def process(pid: int, held: int | None) -> Any:
    return SimpleNamespace(pid=pid, usedGpuMemory=held)


def test_gpus_have_their_name_memory_and_use() -> None:
    first, second = Nvml(Library()).find().devices
    assert (first.index, first.uuid, first.name, first.memory_bytes) == (0, "GPU-0a-b", "NVIDIA A100", 80 * GIB)
    assert (second.used_bytes, second.processes, second.simulated) == (GIB, (), False)


@pytest.mark.parametrize(
    ("visible", "indices"),
    [
        (None, [0, 1, 2]),
        ("2,0", [0, 2]),
        ("GPU-1", [1]),
        ("", []),
        ("-1", []),
        ("1,nonsense,2", [1]),
    ],
)
def test_what_the_environment_hides_is_not_ours(visible: str | None, indices: list[int]) -> None:
    found = Nvml(Library(gpus=3), visible=visible).find()
    assert [each.index for each in found.devices] == indices
    assert bool(found.why_none) == (not indices)


def test_a_process_tree_holds_what_its_processes_hold() -> None:
    library = Library(running={0: [process(7, GIB), process(8, 2 * GIB), process(9, GIB)], 1: [process(7, None)]})
    assert Nvml(library).used_by([7, 8]) == {0: 3 * GIB}


def test_a_gpu_that_is_split_by_mig_is_told_with_its_parts() -> None:
    split, whole = Nvml(Library(parts={0: ["a", "b"]})).find().devices
    assert (split.mig, [each.uuid for each in split.instances]) == (True, ["MIG-a", "MIG-b"])
    assert split.instances[0].name == "NVIDIA A100 MIG 3g.40gb"
    assert (whole.mig, whole.instances) == (False, ())


def test_a_driver_that_fails_is_told_and_started_anew_at_the_next_look() -> None:
    library = Library()
    source = Nvml(library)
    assert source.find().devices
    library.broken = "GPU is lost"
    assert source.find().why_none == "NVIDIA's driver does not answer: GPU is lost"
    library.broken = ""
    assert source.find().devices
    assert library.starts == 2


def test_without_a_driver_the_reason_is_one_line() -> None:
    found = Nvml(Library(broken="NVML Shared Library Not Found")).find()
    assert found.devices == ()
    assert found.why_none.startswith("no NVIDIA GPU is seen: NVML Shared Library Not Found")
    real = Nvml().find()
    assert real.devices or "\n" not in real.why_none
