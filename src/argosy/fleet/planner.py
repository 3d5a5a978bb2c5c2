"""Decides which replicas a fleet wants, and what differs between two fleets. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from argosy.config.load import deployment_record
from argosy.config.schema import Deployment, Fleet
from argosy.fleet.launcher import NodeInfo
from argosy.protocol.deployment import DeploymentRecord, RemoteRecord
from argosy.protocol.replica import ReplicaSpec

# The gateway alone uses these, and the controller's push tells it: changing them restarts nothing.
_ROUTING_ONLY = frozenset({"aliases", "max_queue", "policy", "replicas", "timeouts"})


def replica_id(deployment: str, index: int) -> str:
    return f"{deployment}.{index}"


def planned_id(replica: str) -> bool:
    """Whether the controller made this id; a worker started by hand has six hexadecimal digits instead of an index."""
    index = replica.rpartition(".")[2]
    return index.isdecimal() and len(index) < 6


def deployment_of(replica: str) -> str:
    return replica.rpartition(".")[0]


def config_of(deployment: Deployment) -> dict[str, Any]:
    """The deployment as a spec carries it. Defaults are left out, so that stating one is no change."""
    return deployment.model_dump(mode="json", exclude_defaults=True)


def plan(
    fleet: Fleet,
    stopped: Collection[str],
    current: Mapping[str, ReplicaSpec],
    *,
    nodes: Sequence[NodeInfo],
    gateways: Sequence[str],
    revision: int,
) -> list[ReplicaSpec]:
    """Every replica that should run. One whose worker or engine would do otherwise than its current spec says gets the
    next generation; all others keep theirs."""
    node = nodes[0].name if nodes else None
    wanted = []
    for name, deployment in fleet.deployments.items():
        if name in stopped or deployment.engine_name == "remote":
            continue
        record = deployment_record(name, deployment, revision=revision)
        config = config_of(deployment)
        for index in range(deployment.replicas):
            replica = replica_id(name, index)
            before = current.get(replica)
            generation = 1 if before is None else before.generation + (not _same_work(before.config, config))
            wanted.append(
                ReplicaSpec(
                    id=replica,
                    generation=generation,
                    deployment=record,
                    config=config,
                    gateways=list(gateways),
                    grace_seconds=fleet.grace,
                    node=node,
                )
            )
    return wanted


def records(fleet: Fleet, stopped: Collection[str], *, revision: int) -> list[DeploymentRecord]:
    """All deployments as the gateway knows them."""
    return [
        deployment_record(name, deployment, revision=revision, stopped=name in stopped)
        for name, deployment in fleet.deployments.items()
    ]


def remotes(fleet: Fleet) -> list[RemoteRecord]:
    """Where the deployments live that no worker serves."""
    return [
        RemoteRecord(
            deployment=name,
            urls=list(deployment.urls),
            model=deployment.model,
            api_key_env=deployment.api_key_env,
            concurrency=deployment.concurrency,
            weight=deployment.weight,
        )
        for name, deployment in fleet.deployments.items()
        if deployment.engine_name == "remote"
    ]


@dataclass(frozen=True)
class Change:
    """What becomes of one deployment, or of the gateway, when another fleet is applied."""

    name: str
    kind: str  # new | removed | restarted | changed (nothing restarts) | started (it was stopped)
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.kind}{f' ({self.detail})' if self.detail else ''}"


def changes(old: Fleet, stopped: Collection[str], new: Fleet) -> list[Change]:
    """The difference that applying `new` makes; deployments that stay as they are, are left out."""
    found = []
    if moved := _differing(_dump(old.gateway), _dump(new.gateway)):
        found.append(Change("gateway", "changed", ", ".join(moved)))
    for name in old.deployments:
        if name not in new.deployments:
            found.append(Change(name, "removed"))
    for name, deployment in new.deployments.items():
        before = old.deployments.get(name)
        if before is None:
            found.append(Change(name, "new", f"replicas {deployment.replicas}" if deployment.replicas != 1 else ""))
            continue
        fields = _differing(config_of(before), config_of(deployment))
        if name in stopped:
            found.append(Change(name, "started", ", ".join(fields)))
        elif fields:
            restarts = deployment.engine_name != "remote" and not _ROUTING_ONLY.issuperset(fields)
            details = [
                f"replicas {before.replicas} → {deployment.replicas}" if field == "replicas" else field
                for field in fields
            ]
            found.append(Change(name, "restarted" if restarts else "changed", ", ".join(details)))
    return found


def _same_work(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return _ROUTING_ONLY.issuperset(_differing(before, after))


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return sorted(field for field in before.keys() | after.keys() if before.get(field) != after.get(field))


def _dump(settings: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = settings.model_dump(mode="json")
    return dumped
