"""GPUs as values, and the seam behind which another maker's can follow: what there is, and who uses it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec


class DeviceProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process that holds memory of a device."""

    pid: int
    memory_bytes: int | None = None  # None: the driver does not tell


class MigInstance(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a GPU that is split by MIG (NVIDIA): an engine sees one of them, by its UUID."""

    uuid: str
    name: str


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU of this machine, now."""

    index: int  # as its maker's tools count
    uuid: str
    name: str
    memory_bytes: int
    used_bytes: int = 0  # by everybody
    claimed_bytes: int = 0  # what other fleets of this home have planned with
    processes: tuple[DeviceProcess, ...] = ()
    simulated: bool = False  # told by a file: nothing is really there
    mig: bool = False  # it is split: nobody can be given the whole of it, so it is not planned with
    instances: tuple[MigInstance, ...] = ()  # its parts then

    @property
    def label(self) -> str:
        return f"gpu{self.index}"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    devices: tuple[Device, ...] = ()
    why_none: str = ""  # a sentence, where none is seen


class DeviceSource(Protocol):
    """One maker's GPUs. Never raises: what cannot be read is told in a sentence."""

    def find(self) -> Found: ...

    def used_by(self, pids: Collection[int]) -> dict[int, int]:
        """Index → bytes that these processes hold of it, as far as it is told."""
        ...
