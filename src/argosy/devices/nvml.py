"""NVIDIA's GPUs, through NVML (the package nvidia-ml-py): what there is, how full it is, who holds what.

Owns the library's start; it stays open, since each start may wake the driver for seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from argosy.devices.device import Device, DeviceProcess, Found, MigInstance


class Nvml:
    """`visible`: CUDA_VISIBLE_DEVICES of this process. What it hides was given to somebody else (by a batch system, to
    another container), so it is not ours to plan with."""

    def __init__(self, library: Any = None, *, visible: str | None = None) -> None:
        self._library = library
        self._visible = visible
        self._open = False

    def find(self) -> Found:
        try:
            library = self._opened()
        except ImportError:
            return Found(why_none="the package nvidia-ml-py is not installed, so NVIDIA's GPUs cannot be seen")
        except self._error() as error:
            return Found(why_none=f"no NVIDIA GPU is seen: {error} (NVML; is the driver installed, and visible here?)")
        try:
            found = [self._device(library, index) for index in range(library.nvmlDeviceGetCount())]
        except library.NVMLError as error:
            self._open = False  # the driver was reloaded: start anew at the next look
            return Found(why_none=f"NVIDIA's driver does not answer: {error}")
        ours = tuple(each for each in found if _is_visible(each, self._visible))
        if not found:
            return Found(why_none="NVIDIA's driver runs, but has no GPU")
        hidden = f"CUDA_VISIBLE_DEVICES={self._visible} hides all of {len(found)} GPUs here"
        return Found(devices=ours, why_none="" if ours else hidden)

    def used_by(self, pids: Collection[int]) -> dict[int, int]:
        used: dict[int, int] = {}
        for device in self.find().devices:
            held = [each.memory_bytes for each in device.processes if each.pid in pids]
            if held and all(size is not None for size in held):
                used[device.index] = sum(size or 0 for size in held)
        return used

    def _opened(self) -> Any:
        if self._library is None:
            self._library = _nvml()
        if not self._open:
            self._library.nvmlInit()
            self._open = True
        return self._library

    def _error(self) -> type[Exception]:
        found: type[Exception] = self._library.NVMLError if self._library is not None else OSError
        return found

    def _device(self, library: Any, index: int) -> Device:
        handle = library.nvmlDeviceGetHandleByIndex(index)
        memory = library.nvmlDeviceGetMemoryInfo(handle)
        return Device(
            index=index,
            uuid=_text(library.nvmlDeviceGetUUID(handle)),
            name=_text(library.nvmlDeviceGetName(handle)),
            memory_bytes=int(memory.total),
            used_bytes=int(memory.used),
            processes=tuple(_processes(library, handle)),
            mig=_is_split(library, handle),
            instances=tuple(_instances(library, handle)),
        )


def _is_split(library: Any, handle: Any) -> bool:
    try:
        now, _pending = library.nvmlDeviceGetMigMode(handle)
    except library.NVMLError:  # most GPUs cannot be
        return False
    return bool(now == library.NVML_DEVICE_MIG_ENABLE)


def _instances(library: Any, handle: Any) -> Iterator[MigInstance]:
    try:
        most = library.nvmlDeviceGetMaxMigDeviceCount(handle) if _is_split(library, handle) else 0
    except library.NVMLError:
        return
    for number in range(most):
        try:
            part = library.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
            uuid, name = library.nvmlDeviceGetUUID(part), library.nvmlDeviceGetName(part)
        except library.NVMLError:  # that many there could be
            continue
        yield MigInstance(uuid=_text(uuid), name=_text(name))


def _processes(library: Any, handle: Any) -> Iterator[DeviceProcess]:
    try:
        running = library.nvmlDeviceGetComputeRunningProcesses(handle)
    except library.NVMLError:  # not told in some containers, nor of a GPU that is split by MIG
        return
    for each in running:
        held = getattr(each, "usedGpuMemory", None)
        yield DeviceProcess(pid=int(each.pid), memory_bytes=None if held is None else int(held))


def _is_visible(device: Device, visible: str | None) -> bool:
    """As CUDA reads its variable: indices or beginnings of UUIDs, up to the first that is neither."""
    if visible is None:
        return True
    for word in map(str.strip, visible.split(",")):
        if word.isdecimal():
            if int(word) == device.index:
                return True
        elif not word.startswith("GPU-"):
            return False
        elif device.uuid.startswith(word):
            return True
    return False


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _nvml() -> Any:
    import pynvml  # noqa: PLC0415 - only where GPUs are asked for

    return pynvml
