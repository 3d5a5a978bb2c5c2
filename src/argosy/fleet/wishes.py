"""What each replica asks of a node, as placement sees it: from the fleet file's words and the engine's needs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from argosy.config.gpus import AUTO, VISIBLE, pins_of
from argosy.config.needs import EngineNeeds
from argosy.config.schema import Deployment
from argosy.engines.memory import MemoryNeed
from argosy.protocol.replica import AssignedDevice


@dataclass(frozen=True)
class Standing:
    """Where a replica was started last. `as_wanted`: what it does there is what is wanted, so that it is moved only if
    it must be."""

    node: str | None
    devices: tuple[AssignedDevice, ...] | None
    alive: bool = True
    as_wanted: bool = True


@dataclass(frozen=True)
class Wish:
    """One replica's. `kind`: gpu and cpu are musts; either takes the CPU where no GPU has room; any says nothing of
    GPUs, so that its engine sees what its worker sees."""

    replica: str
    deployment: str
    kind: Literal["gpu", "cpu", "either", "any"]
    pins: tuple[int, ...] | None = None
    gpus: int | None = None  # how many; None: as many as it takes
    fraction: float | None = None
    memory: MemoryNeed | None = None
    checked: bool = True  # False: it is never refused for its memory
    standing: Standing | None = None

    @property
    def size(self) -> tuple[float, int]:
        """The larger, the earlier it is placed."""
        return (self.fraction or 0, self.memory.total_bytes if self.memory is not None else 0)

    def counts(self, most: int) -> list[int]:
        """Numbers of GPUs to try, the fewest first: powers of two split any model evenly."""
        if self.pins is not None:
            return [len(self.pins)]
        if self.gpus is not None:
            return [self.gpus]
        return [1 << power for power in range(most.bit_length()) if 1 << power <= most]

    def bytes_of(self, device_bytes: int, gpus: int) -> int | None:
        """What it needs of a GPU of that size, one of so many; None: not known."""
        if self.fraction is not None:
            return int(device_bytes * self.fraction)
        return None if self.memory is None else self.memory.bytes_per_gpu(gpus)

    @property
    def fills(self) -> bool:
        """It gets what is left beside the others, where nobody says how much it may take."""
        return self.fraction is None and (self.memory is None or self.memory.fills)


def wishes(
    name: str,
    deployment: Deployment,
    replicas: Mapping[str, int],
    needs: EngineNeeds,
    standings: Mapping[str, Standing],
) -> Iterator[Wish]:
    """Of the replicas of one deployment: id → index."""
    gpus = deployment.gpus
    asks = (
        deployment.device == "gpu" or deployment.tensor_parallel is not None or deployment.memory_fraction is not None
    )
    kind: Literal["gpu", "cpu", "either", "any"]
    if deployment.device == "cpu" or gpus == 0:
        kind = "cpu"
    elif gpus is not None or asks:
        kind = "gpu"
    else:
        kind = "either" if needs.uses_gpu and VISIBLE not in deployment.env else "any"
    count = gpus if isinstance(gpus, int) and gpus else deployment.tensor_parallel
    for replica, index in replicas.items():
        yield Wish(
            replica=replica,
            deployment=name,
            kind=kind,
            pins=pins_of(gpus, index),
            gpus=count if gpus is None or gpus == AUTO or isinstance(gpus, int) else None,
            fraction=deployment.memory_fraction,
            memory=needs.memory,
            checked=deployment.check_memory,
            standing=standings.get(replica),
        )
