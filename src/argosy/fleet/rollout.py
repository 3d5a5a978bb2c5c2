"""Which running replica may be taken away now, so that its deployment keeps serving meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from argosy.fleet.launcher import LaunchedReplica
from argosy.fleet.planner import deployment_of
from argosy.protocol.replica import ReplicaSpec


@dataclass(frozen=True)
class Rollout:
    """`stopping`: ids of replicas that are being stopped; it may grow while this is asked."""

    wanted: Mapping[str, ReplicaSpec]
    launched: Mapping[str, LaunchedReplica]
    stopping: Collection[str]

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

    def _of(self, found: LaunchedReplica) -> list[ReplicaSpec]:
        name = deployment_of(found.id)
        return [spec for spec in self.wanted.values() if spec.deployment.name == name]

    def _ready(self, spec: ReplicaSpec) -> bool:
        found = self.launched.get(spec.id)
        return found is not None and found.ready and spec.id not in self.stopping
