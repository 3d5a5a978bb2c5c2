"""The rows of the registry: a deployment and its replicas, as one gateway sees them now.

Only `registry.py` changes them, but for what a field says; policies and the relay read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.protocol.deployment import DeploymentRecord, RemoteRecord
from argosy.protocol.replica import ReplicaState, ReplicaStatus


@dataclass(slots=True, eq=False)
class Replica:
    """One replica. Identity is the object: a later incarnation (epoch) keeps it, so its in-flight count stays true."""

    id: str
    deployment: str
    status: ReplicaStatus
    seq: int = 0  # of the last heartbeat
    heard_at: float = 0.0  # monotonic seconds
    in_flight: int = 0
    turn: int = 0  # of its last lease, out of a counter: the lowest has been idle the longest
    ejected: bool = False  # a connection to it failed: out until a probe succeeds or a new incarnation reports
    fault: str = ""  # why it was ejected
    ejections: int = 0
    errors: dict[str, int] = field(default_factory=dict)  # requests that it failed, by the error's code
    retries: int = 0  # of those, sent on to another replica
    remote: RemoteRecord | None = None  # a static record: no worker, no lease

    @property
    def concurrency(self) -> int:
        return self.status.concurrency

    @property
    def weight(self) -> float:
        return self.status.weight

    @property
    def serving(self) -> bool:
        """It says that it can serve, and no connection has failed since."""
        return self.status.state == ReplicaState.READY and not self.ejected


@dataclass(slots=True, eq=False)
class Deployment:
    record: DeploymentRecord
    replicas: dict[str, Replica] = field(default_factory=dict)
    routable: tuple[Replica, ...] = ()  # kept up to date at every change, so that a request only reads it
    reached: bool = False  # its wanted replicas have all been ready at once since this gateway started
    service_seconds: float = 0.0  # that a request takes a slot, on average of late: the dispatcher's
    asked_for: bool = False  # in the fleet's table; else only a worker told of it
