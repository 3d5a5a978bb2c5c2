"""Which running replica may be taken away now, so that its deployment keeps serving meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from argosy.config.schema import Budget
from argosy.fleet.launcher import LaunchedReplica
from argosy.fleet.planner import deployment_of
from argosy.fleet.rooms import limit_bytes
from argosy.protocol.replica import ReplicaSpec


@dataclass(frozen=True)
class Rollout:
    """`stopping`: ids of replicas that are being stopped; it may grow while this is asked."""

    wanted: Mapping[str, ReplicaSpec]
    launched: Mapping[str, LaunchedReplica]
    stopping: Collection[str]
    budget: Budget = field(default_factory=Budget)

    def may_replace(self, found: LaunchedReplica) -> bool:
        """One ready replica of a deployment at a time, and only while all others serve."""
        if not found.ready:
            return True
        return all(self._ready(spec) for spec in self._of(found) if spec.id != found.id)

    def may_leave(self, found: LaunchedReplica) -> bool:
        """One that is not wanted any more serves until one that is wanted does: fewer replicas of another kind must
        not leave a model without any."""
        wanted = self._of(found)
        if not wanted or not found.ready:
            return True
        return any(self._ready(spec) and self.launched[spec.id].spec.generation == spec.generation for spec in wanted)

    def in_the_way(self, spec: ReplicaSpec) -> list[LaunchedReplica]:
        """Who lives where the plan does not see it any more, so that the memory of a GPU does not yet hold this one.
        They go first, also those that should have served on meanwhile: two that wait for each other's GPU would wait
        for ever."""
        found: dict[str, LaunchedReplica] = {}
        for device in spec.devices or ():
            there = {
                each.id: each
                for each in self.launched.values()
                if each.alive and each.id != spec.id and each.spec.node == spec.node and _holds(each, device.index)
            }
            held = sum(_holds(each, device.index) for each in there.values())
            if held + device.budget_bytes > limit_bytes(device.memory_bytes, self.budget):
                found |= {name: each for name, each in there.items() if not self._belongs(each)}
        return list(found.values())

    def _belongs(self, found: LaunchedReplica) -> bool:
        wanted = self.wanted.get(found.id)
        return wanted is not None and wanted.generation == found.spec.generation and found.id not in self.stopping

    def _of(self, found: LaunchedReplica) -> list[ReplicaSpec]:
        name = deployment_of(found.id)
        return [spec for spec in self.wanted.values() if spec.deployment.name == name]

    def _ready(self, spec: ReplicaSpec) -> bool:
        found = self.launched.get(spec.id)
        return found is not None and found.ready and spec.id not in self.stopping


def _holds(found: LaunchedReplica, index: int) -> int:
    """Bytes of that GPU."""
    return sum(each.budget_bytes for each in found.spec.devices or () if each.index == index)
