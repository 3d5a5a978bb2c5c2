"""The seam between the controller and what runs workers somewhere: on this machine now, on other nodes later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from argosy.devices.device import Device
from argosy.devices.inventory import Inventory
from argosy.protocol.replica import ReplicaSpec, ReplicaState, ReplicaStatus


@dataclass(frozen=True)
class NodeInfo:
    """A machine that can run workers, and what it has for them."""

    name: str
    cores: int = 0
    memory_bytes: int | None = None  # None: nobody knows, so that nothing is refused for it
    devices: tuple[Device, ...] = ()
    has_gpu: bool = False  # also one that is not seen, or of a maker that nobody plans for
    why_no_gpu: str = ""
    simulated: bool = False  # a file tells of its GPUs

    @classmethod
    def of(cls, seen: Inventory, claimed: Mapping[int, int]) -> NodeInfo:
        """Of this machine. `claimed`: GPU → bytes that other fleets plan with."""
        devices = (msgspec.structs.replace(each, claimed_bytes=claimed.get(each.index, 0)) for each in seen.devices)
        return cls(
            seen.node,
            cores=seen.cores,
            memory_bytes=seen.memory_bytes,
            devices=tuple(devices),
            has_gpu=seen.has_gpu,
            why_no_gpu=seen.why_no_gpu,
            simulated=seen.simulated,
        )


@dataclass(frozen=True)
class LaunchedReplica:
    """A replica that a launcher was asked to run, and what has become of it."""

    spec: ReplicaSpec  # as it was started
    alive: bool  # its worker exists
    status: ReplicaStatus | None = None  # what this very worker said last; None before its first word
    worker_pid: int | None = None
    end: str = ""  # how the worker ended, where that is known: "was killed by SIGKILL"

    @property
    def id(self) -> str:
        return self.spec.id

    def says(self, state: ReplicaState) -> bool:
        return self.status is not None and self.status.state == state

    @property
    def ready(self) -> bool:
        return self.alive and self.says(ReplicaState.READY)


class Launcher(Protocol):
    """Starts and stops workers. (id, generation) is the idempotency key; whoever asks for generation + 1 stopped the
    one before it."""

    async def nodes(self) -> list[NodeInfo]: ...

    async def start(self, spec: ReplicaSpec) -> None:
        """Accepted, not ready; nothing happens when it runs already. Raises OSError when it cannot be started."""
        ...

    async def amend(self, spec: ReplicaSpec) -> None:
        """Tells the running worker of this generation what has changed that needs no other start. Raises OSError."""
        ...

    async def stop(
        self,
        replica: str,
        generation: int | None = None,
        *,
        grace_seconds: float,
        hurry: asyncio.Event | None = None,
    ) -> None:
        """Drains it for at most `grace_seconds`, or until `hurry` is set; returns when its process tree is gone."""
        ...

    async def list(self) -> list[LaunchedReplica]:
        """The whole truth, of earlier controllers' starts too: this is how a new controller adopts."""
        ...

    def last_lines(self, replica: str) -> str:
        """The end of its log, for a reason."""
        ...

    def watch(self) -> AsyncIterator[str]:
        """Ids of replicas that may have changed: hints to list again, of which some may be missing."""
        ...

    async def close(self) -> None:
        """Stops watching; what runs keeps running."""
        ...
