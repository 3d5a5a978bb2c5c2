"""Which replicas of a deployment may be given requests now. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from argosy.protocol.heartbeat import LEASE_SECONDS
from argosy.protocol.replica import ReplicaState
from argosy.registry.records import Replica


def routable_of(replicas: Collection[Replica], now: float) -> tuple[Replica, ...]:
    """Those that fail requests are better than nobody; when all leases ran out together, so is the least stale."""
    serving = [replica for replica in replicas if replica.serving]
    if routable := _with_leases(serving, now):
        return routable
    failing = [replica for replica in replicas if replica.failing]
    if routable := _with_leases([each for each in failing if each.status.state == ReplicaState.READY], now):
        return routable
    return (max(serving, key=lambda replica: replica.heard_at),) if serving else ()


def _with_leases(replicas: Iterable[Replica], now: float) -> tuple[Replica, ...]:
    return tuple(each for each in replicas if each.remote is not None or now - each.heard_at <= LEASE_SECONDS)
