"""Decides which replicas a fleet wants, and which of them must be replaced. Pure: no I/O, no clock.

Where they run is placement.py's to decide; this file puts the question to it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from argosy.config.load import deployment_record
from argosy.config.needs import EngineNeeds
from argosy.config.schema import Deployment, Fleet
from argosy.fleet.launcher import LaunchedReplica, NodeInfo
from argosy.fleet.placement import Place, Placement, place
from argosy.fleet.wishes import Standing, Wish, wishes
from argosy.protocol.deployment import DeploymentRecord, RemoteRecord
from argosy.protocol.replica import AssignedDevice, ReplicaSpec

# Changing these restarts nothing: the controller's push tells the gateway, an amended spec the worker.
_SHAPING = {"defaults", "embedding_batch", "max_tokens_ceiling", "system_prompt"}
# Where a replica runs: it is started anew when it must move, not because the file says the same in other words.
_PLACING = {"device", "gpus", "tensor_parallel"}
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
    placement: Placement,
    gateways: Sequence[str],
    revision: int,
    drained: Collection[str] = (),
    restarts: Mapping[str, int] | None = None,
) -> list[ReplicaSpec]:
    """Every replica that should run and has a place. One whose engine would do otherwise than its current spec says,
    that must move, or was started before its restart was asked for (`restarts`: deployment → revision), gets the next
    generation; all others keep theirs."""
    wanted = []
    for name, replicas in _wanted(fleet, stopped, drained).items():
        deployment = fleet.deployments[name]
        record = _record(name, deployment, drained, revision=revision)
        config = config_of(deployment)
        restart = (restarts or {}).get(name, 0)
        for replica in replicas:
            if (where := placement.places.get(replica)) is None:
                continue
            before = current.get(replica)
            anew = before is None or not _as_wanted(before, config, restart) or _moves(before, where)
            generation = 1 if before is None else before.generation + anew
            wanted.append(
                ReplicaSpec(
                    id=replica,
                    generation=generation,
                    deployment=record,
                    config=config,
                    gateways=list(gateways),
                    grace_seconds=fleet.grace,
                    node=where.node,
                    devices=where.devices,
                    restart=restart if before is None or anew else before.restart,
                )
            )
    return wanted


def placement_of(
    fleet: Fleet,
    stopped: Collection[str],
    launched: Mapping[str, LaunchedReplica],
    *,
    nodes: Sequence[NodeInfo],
    needs: Mapping[str, EngineNeeds],
    drained: Collection[str] = (),
    restarts: Mapping[str, int] | None = None,
) -> Placement:
    """Where every replica that should run does. `needs`: of each deployment that has a worker; what is not told there
    is not known."""
    alone = nodes[0].name if len(nodes) == 1 else None  # under whatever name it was known before
    standings = {
        each.id: Standing(alone or each.spec.node, each.spec.devices, each.alive, as_wanted=False)
        for each in launched.values()
    }
    asked: list[Wish] = []
    for name, replicas in _wanted(fleet, stopped, drained).items():
        deployment, restart = fleet.deployments[name], (restarts or {}).get(name, 0)
        config = config_of(deployment)
        for replica in replicas:
            if (found := launched.get(replica)) is not None and _as_wanted(found.spec, config, restart):
                standings[replica] = dataclasses.replace(standings[replica], as_wanted=True)
        asked += wishes(name, deployment, replicas, needs.get(name, EngineNeeds()), standings)
    wished = {wish.replica for wish in asked}
    leaving = [standing for replica, standing in standings.items() if replica not in wished]
    return place(asked, nodes, fleet.budget, leaving=leaving)


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


def restarts_who_moves(fields: Collection[str]) -> bool:
    """Whether a change of these fields starts anew only the replicas that get another place by it."""
    return restarts_nothing(set(fields) - _PLACING)


def _wanted(fleet: Fleet, stopped: Collection[str], drained: Collection[str]) -> dict[str, dict[str, int]]:
    """Deployment → its replicas, each with its index."""
    return {
        name: {
            replica: index
            for index in range(deployment.replicas)
            if (replica := replica_id(name, index)) not in drained
        }
        for name, deployment in fleet.deployments.items()
        if name not in stopped and deployment.engine_name != "remote"
    }


def _as_wanted(before: ReplicaSpec, config: Mapping[str, Any], restart: int) -> bool:
    """Whether a replica of that spec does what is wanted, wherever it runs."""
    same_work = restarts_who_moves(differing(before.config, config))
    return same_work and before.restart >= restart


def _moves(before: ReplicaSpec, where: Place) -> bool:
    """Whether it sees other GPUs there, or may hold less of them than it was started with."""
    then, now = before.devices, where.devices
    same = then is now or (then is not None and now is not None and _indices(then) == _indices(now))
    return where.anew or not same


def _indices(devices: Sequence[AssignedDevice]) -> list[int]:
    return [each.index for each in devices]


def _record(
    name: str, deployment: Deployment, drained: Collection[str], *, revision: int, stopped: bool = False
) -> DeploymentRecord:
    """A drained replica is not wanted: no gateway waits for it to call the deployment ready."""
    record = deployment_record(name, deployment, revision=revision, stopped=stopped)
    out = sum(replica_id(name, index) in drained for index in range(deployment.replicas))
    return msgspec.structs.replace(record, replicas=record.replicas - out) if out else record


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return sorted(field for field in before.keys() | after.keys() if before.get(field) != after.get(field))
