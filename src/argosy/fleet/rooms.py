"""The books of placement: what of every GPU and of every node's memory is given to whom. No decisions.

Made anew for every plan; what it books it never takes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from argosy.config.schema import Budget
from argosy.devices.device import Device
from argosy.engines.memory import MemoryNeed
from argosy.fleet.launcher import NodeInfo
from argosy.protocol.replica import AssignedDevice


@dataclass
class GpuRoom:
    """A GPU: `limit_bytes` is what the fleet may plan with, `others_bytes` what is not the fleet's."""

    node: str
    device: Device
    limit_bytes: int
    others_bytes: int
    holders: dict[str, int] = field(default_factory=dict)  # replica → bytes
    deployments: dict[str, int] = field(default_factory=dict)  # → its replicas here
    index: int = 0
    size_bytes: int = 0
    left_bytes: int = 0

    @property
    def order(self) -> tuple[str, int]:
        return (self.node, self.index)

    def __post_init__(self) -> None:
        self.index, self.size_bytes = self.device.index, self.device.memory_bytes
        self.left_bytes = self.limit_bytes - self.others_bytes


@dataclass
class NodeRoom:
    """A node: its GPUs, and its own memory, where weights that several replicas map count once."""

    info: NodeInfo
    gpus: list[GpuRoom]
    on_gpus: dict[str, int] = field(default_factory=dict)  # deployment → its replicas on GPUs of this node
    holders: dict[str, int] = field(default_factory=dict)  # of memory: replica → bytes
    deployments: Counter[str] = field(default_factory=Counter)
    taken_bytes: int = 0
    changes: int = 0  # of what its GPUs hold: what was found before is true as long as it is the same
    _mapped: set[str] = field(default_factory=set)

    @property
    def left_bytes(self) -> int | None:
        return None if self.info.memory_bytes is None else self.info.memory_bytes - self.taken_bytes

    def has(self, need: MemoryNeed) -> bool:
        """Whether its weights are here already."""
        return need.weights in self._mapped

    def wants(self, need: MemoryNeed) -> int:
        return need.cache_bytes + need.beyond_bytes + (0 if self.has(need) else need.weights_bytes)

    def give(self, replica: str, deployment: str, need: MemoryNeed | None) -> None:
        """Of its own memory."""
        size = self.wants(need) if need is not None else 0
        if need is not None and need.weights:
            self._mapped.add(need.weights)
        self.holders[replica] = size
        self.taken_bytes += size
        self.deployments[deployment] += 1

    def give_gpu(self, gpu: GpuRoom, replica: str, deployment: str, size: int) -> None:
        """To a new holder, or to one that is there some more."""
        if replica not in gpu.holders:
            for book in (gpu.deployments, self.on_gpus):
                book[deployment] = book.get(deployment, 0) + 1
        gpu.holders[replica] = gpu.holders.get(replica, 0) + size
        gpu.left_bytes -= size
        self.changes += 1


def open_rooms(
    nodes: Sequence[NodeInfo], budget: Budget, running: Iterable[tuple[str, Sequence[AssignedDevice]]]
) -> dict[str, NodeRoom]:
    """`running`: node and devices of every replica of this fleet that lives, which is no stranger there."""
    ours: Counter[tuple[str, int]] = Counter()
    for node, devices in running:
        for each in devices:
            ours[node, each.index] += each.budget_bytes
    return {
        node.name: NodeRoom(node, [_room(node.name, each, budget, ours) for each in node.devices if not each.mig])
        for node in nodes
    }


def limit_bytes(memory_bytes: int, budget: Budget) -> int:
    """What of a GPU of that size a fleet may plan with."""
    return max(0, min(int(memory_bytes * budget.memory_fraction), memory_bytes - budget.reserve))


def _room(node: str, device: Device, budget: Budget, ours: Mapping[tuple[str, int], int]) -> GpuRoom:
    # What is used beyond what ours were given is somebody else's, whoever that is: it needs no knowledge of processes.
    others = max(0, device.used_bytes - ours.get((node, device.index), 0), device.claimed_bytes)
    return GpuRoom(node, device, limit_bytes(device.memory_bytes, budget), others)
