"""Decides which replicas a fleet wants, and which of them must be replaced. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from argosy.config.load import deployment_record
from argosy.config.schema import Deployment, Fleet
from argosy.fleet.launcher import NodeInfo
from argosy.protocol.deployment import DeploymentRecord, RemoteRecord
from argosy.protocol.replica import ReplicaSpec

# Changing these restarts nothing: the controller's push tells the gateway, an amended spec the worker.
_SHAPING = {"defaults", "embedding_batch", "max_tokens_ceiling", "system_prompt"}
_LIVE = frozenset({"aliases", "concurrency", "max_queue", "policy", "replicas", "timeouts", "weight", *_SHAPING})


def replica_id(deployment: str, index: int) -> str:
    return f"{deployment}.{index}"


def planned_id(replica: str) -> bool:
    """Whether the controller made this id; a worker started by hand has six hexadecimal digits instead of an index."""
    index = replica.rpartition(".")[2]
    return index.isdecimal() and len(index) < 6


def joined_id(replica: str) -> bool:
    """Whether a worker that was started by hand made this id."""
    return re.fullmatch(r".+\.[0-9a-f]{6}", replica) is not None


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
    drained: Collection[str] = (),
    restarts: Mapping[str, int] | None = None,
) -> list[ReplicaSpec]:
    """Every replica that should run. One whose engine would do otherwise than its current spec says, or was started
    before its restart was asked for (`restarts`: deployment → revision), gets the next generation; all others keep
    theirs."""
    node = nodes[0].name if nodes else None
    wanted = []
    for name, deployment in fleet.deployments.items():
        if name in stopped or deployment.engine_name == "remote":
            continue
        record = _record(name, deployment, drained, revision=revision)
        config = config_of(deployment)
        restart = (restarts or {}).get(name, 0)
        for index in range(deployment.replicas):
            replica = replica_id(name, index)
            if replica in drained:
                continue
            before = current.get(replica)
            anew = before is None or not _same_work(before.config, config) or before.restart < restart
            generation = 1 if before is None else before.generation + anew
            wanted.append(
                ReplicaSpec(
                    id=replica,
                    generation=generation,
                    deployment=record,
                    config=config,
                    gateways=list(gateways),
                    grace_seconds=fleet.grace,
                    node=node,
                    restart=restart if before is None or anew else before.restart,
                )
            )
    return wanted


def records(
    fleet: Fleet, stopped: Collection[str], *, revision: int, drained: Collection[str] = ()
) -> list[DeploymentRecord]:
    """All deployments as the gateway knows them."""
    return [
        _record(name, deployment, drained, revision=revision, stopped=name in stopped)
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
            paths=list(deployment.paths),
            weight=deployment.weight,
        )
        for name, deployment in fleet.deployments.items()
        if deployment.engine_name == "remote"
    ]


def sources(fleet: Fleet) -> dict[str, str]:
    """By deployment; "" for one that has none."""
    return {name: deployment.source or deployment.model or "" for name, deployment in fleet.deployments.items()}


def restarts_nothing(fields: Collection[str]) -> bool:
    """Whether a change of these fields of a deployment is told to what runs, instead of starting it anew."""
    return _LIVE.issuperset(fields)


def _same_work(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return restarts_nothing(differing(before, after))


def _record(
    name: str, deployment: Deployment, drained: Collection[str], *, revision: int, stopped: bool = False
) -> DeploymentRecord:
    """A drained replica is not wanted: no gateway waits for it to call the deployment ready."""
    record = deployment_record(name, deployment, revision=revision, stopped=stopped)
    out = sum(replica_id(name, index) in drained for index in range(deployment.replicas))
    return msgspec.structs.replace(record, replicas=record.replicas - out) if out else record


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return sorted(field for field in before.keys() | after.keys() if before.get(field) != after.get(field))
