"""What this machine has for an engine: cores and memory, as far as a container or a cgroup leaves them to us."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
_GPU_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/kfd"))


def cores() -> int:
    """Physical cores that this process may run on: a second thread per core slows llama.cpp down."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or allowed
    return max(1, min(physical, allowed, *(quota for quota in (_cpu_quota(),) if quota)))


def has_gpu() -> bool:
    """Whether weights may go to a GPU instead of this machine's memory."""
    return any(driver.exists() for driver in _GPU_DRIVERS)


def available_memory_bytes(cgroups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """What can still be taken before the kernel starts to kill: the least of the machine's and each cgroup's."""
    return min(psutil.virtual_memory().available, *(left for left in _left_in_cgroups(cgroups, own)), 1 << 62)


def memory_limit_bytes(cgroups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """What could be had if nothing else ran: what needs more never fits here."""
    return min(psutil.virtual_memory().total, *(limit for _, limit in _limits(cgroups, own)), 1 << 62)


def _left_in_cgroups(cgroups: Path, own: Path) -> Iterator[int]:
    for folder, limit in _limits(cgroups, own):
        used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes")
        if used is not None:
            yield max(0, limit - used + _file_cache_bytes(folder / "memory.stat"))


def _limits(cgroups: Path, own: Path) -> Iterator[tuple[Path, int]]:
    for folder in _own_cgroups(cgroups, own, "memory"):
        limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
        if limit and limit < 1 << 60:  # version 1 writes a huge number for "no limit"
            yield folder, limit


def _file_cache_bytes(stat: Path) -> int:
    """Pages of files count as used but make room when memory is wanted."""
    try:
        fields = dict(line.split(" ", 1) for line in stat.read_text().splitlines() if " " in line)
    except OSError:
        return 0
    for prefix in ("total_", ""):  # version 1's totals include the groups below
        if f"{prefix}inactive_file" in fields:
            return int(fields[f"{prefix}inactive_file"]) + int(fields.get(f"{prefix}active_file", 0))
    return 0


def _cpu_quota() -> int | None:
    """Whole cores that the tightest cgroup (version 2) allows."""
    found = []
    for folder in _own_cgroups(_CGROUPS, Path("/proc/self/cgroup"), "cpu"):
        try:
            quota, period = (folder / "cpu.max").read_text().split()
        except (OSError, ValueError):
            continue
        if quota != "max":
            found.append(max(1, int(quota) // int(period)))
    return min(found, default=None)


def _own_cgroups(cgroups: Path, own: Path, controller: str) -> Iterator[Path]:
    """Folders of this process's cgroup and all above it: a limit binds everything below."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top = cgroups
        elif controller in controllers.split(","):
            top = cgroups / controller
        else:
            continue
        folder = top / path.lstrip("/")
        while folder != top:
            yield folder
            folder = folder.parent
        yield top  # inside a container the limit stands at the top


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max"
        return None
