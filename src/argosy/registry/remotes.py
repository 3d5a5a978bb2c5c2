"""Replicas of `remote` deployments: static ones, which no worker tells of. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from argosy.protocol.deployment import RemoteRecord
from argosy.protocol.replica import ReplicaState, ReplicaStatus
from argosy.protocol.traits import EngineTraits

UNLIMITED = 1_000_000  # requests in flight, where the fleet file bounds them by nothing
_TRAITS = EngineTraits(engine="remote", loose_ends=True)


def replicas_of(remotes: Iterable[RemoteRecord]) -> dict[str, tuple[RemoteRecord, str]]:
    """Replica id → the record that it is of, and its URL."""
    return {
        f"{remote.deployment}.{index}": (remote, url) for remote in remotes for index, url in enumerate(remote.urls)
    }


def remote_status(
    replica: str, remote: RemoteRecord, url: str, state: ReplicaState, reason: str | None
) -> ReplicaStatus:
    return ReplicaStatus(
        id=replica,
        generation=0,
        epoch=0,
        state=state,
        since=0.0,
        reason=reason or "",
        node="",
        address=url,
        concurrency=remote.concurrency or UNLIMITED,
        weight=remote.weight,
        upstream_model=remote.model,
        paths=remote.paths,
        traits=_TRAITS,
        health="/models",
    )
