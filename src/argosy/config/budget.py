"""What a fleet's engines need of this machine's memory together, as far as it can be known before anything starts.

Owns the sum; what one replica needs, its engine knows (engines/memory.py). A lower bound: weights that are not here yet
count by the catalog's size or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.config.environment import Environment
from argosy.config.needs import memory_without_gpus
from argosy.config.schema import Fleet
from argosy.engines import machine
from argosy.engines.memory import MemoryNeed, gib


@dataclass(frozen=True)
class Budget:
    """`needs`: deployment -> bytes of all its replicas; weights that several share count with the first."""

    needs: Mapping[str, int]

    @classmethod
    def of(cls, needs: Sequence[tuple[str, MemoryNeed, int]]) -> Budget:
        """Of deployments: name, what a replica needs, replicas. Pure."""
        found: dict[str, int] = {}
        mapped: set[str] = set()
        for name, need, replicas in needs:
            if replicas:
                copies = replicas if not need.weights else 0 if need.weights in mapped else 1
                found[name] = need.cache_bytes * replicas + need.weights_bytes * copies
                mapped.add(need.weights)
        return cls(found)

    @property
    def total_bytes(self) -> int:
        return sum(self.needs.values())

    def excess(self, limit_bytes: int) -> str | None:
        """The sentence for what is more than the machine has."""
        if self.total_bytes <= limit_bytes:
            return None
        each = ", ".join(f"{name} {gib(size)}" for name, size in sorted(self.needs.items(), key=lambda item: -item[1]))
        return (
            f"together the replicas need at least {gib(self.total_bytes)} GiB of memory ({each}) and this machine has "
            f"{gib(limit_bytes)} GiB, so not all of them will start: take fewer replicas, smaller models, a smaller "
            "context or fewer slots"
        )


def shortage(fleet: Fleet, environment: Environment) -> str | None:
    """The sentence for a fleet that this machine cannot hold. Reads the headers of what is here; fetches nothing."""
    if machine.has_gpu():
        return None  # where each of them will lie is for the plan to say
    needs = []
    for name, deployment in fleet.deployments.items():
        if not deployment.check_memory or deployment.source is None:
            continue
        if (need := memory_without_gpus(name, deployment, environment.cache)) is not None:
            needs.append((name, need, deployment.replicas))
    return Budget.of(needs).excess(machine.memory_limit_bytes())
