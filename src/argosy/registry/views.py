"""A replica as the fleet's surface tells it."""

from __future__ import annotations

from argosy.protocol.admin import ReplicaView
from argosy.protocol.replica import ReplicaState
from argosy.registry.records import Replica


def view(replica: Replica, *, routable: bool) -> ReplicaView:
    return ReplicaView(
        id=replica.id,
        deployment=replica.deployment,
        state=replica.status.state,
        reason=replica.refusal or replica.fault or replica.status.reason or _waited_for(replica),
        address=replica.status.address,
        in_flight=replica.in_flight,
        routable=routable,
        node=replica.status.node,
        devices=replica.status.devices,
        worker_pid=replica.status.worker_pid,
        engine_pid=replica.status.engine_pid,
        restarts=replica.status.restarts,
        since=replica.status.since,
        memory_bytes=replica.status.memory_bytes,
    )


def _waited_for(replica: Replica) -> str:
    calling = replica.unproven and replica.status.state == ReplicaState.READY
    return "the gateway calls it back before it sends anything there" if calling else ""
