"""The rows of the registry: a deployment and its replicas, as one gateway sees them now.

Only `registry.py` changes them, or has them change, but for what a field says; policies and the relay read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.protocol.deployment import DeploymentRecord, RemoteRecord
from argosy.protocol.replica import ReplicaState, ReplicaStatus
from argosy.registry import health


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
    weight: float = 1.0  # its status's, less while it is fresh: health.py
    capacity: int = 1  # requests in flight that it may have: its status's concurrency, 1 while it is on trial
    ejected: bool = False  # out until a probe succeeds or a new incarnation reports
    failing: bool = False  # it is ejected for its answers; else because it was not reached
    fault: str = ""  # why it was ejected, or not reached
    unproven: bool = False  # started by hand, and not called back yet where it says that it is
    refusal: str = ""  # started by hand, with another model behind its name than others have
    aliases: tuple[str, ...] = ()  # that it brought along, started by hand
    ejections: int = 0
    failures: int = 0  # requests in a row that tell of bad health
    doubted: str = ""  # the path of the latest of them that it answered in its own words
    trusted_until: float = 0.0  # a question has been answered
    relapses: int = 0  # ejections since it last did well
    trial_until: float = 0.0  # it has come back, and nothing has succeeded yet
    serving_since: float = 0.0
    errors: dict[str, int] = field(default_factory=dict)  # requests that it failed, by the error's code
    retries: int = 0  # of those, sent on to another replica
    remote: RemoteRecord | None = None  # a static record: no worker, no lease

    @property
    def concurrency(self) -> int:
        return self.status.concurrency

    @property
    def serving(self) -> bool:
        """It says that it can serve, and nothing that was seen since says otherwise."""
        ready = self.status.state == ReplicaState.READY
        return ready and not (self.ejected or self.unproven or self.refusal)

    @property
    def refused(self) -> str:
        """Why a replica that was started by hand gets nothing here."""
        return self.refusal or (self.fault if self.unproven else "")

    def eject(self, fault: str, *, failing: bool) -> None:
        """`failing`: for its answers; else because it was not reached."""
        if not self.ejected:
            self.ejections += 1
            self.relapses += 1
        self.ejected, self.failing, self.fault = True, failing, fault
        self.trial_until = 0.0

    def absolve(self) -> None:
        """It is out, or on trial, no more."""
        self.ejected = self.failing = False
        self.fault, self.trial_until = "", 0.0

    def forgive(self) -> None:
        """What it failed counts no more."""
        self.failures = self.relapses = 0
        self.doubted = ""

    def weigh(self, now: float, *, served: bool) -> None:
        """What it may be given. `served`: it could serve before whatever has changed now."""
        if self.serving and not served:
            self.serving_since = now
        self.weight = self.status.weight * health.share(now - self.serving_since)
        self.capacity = 1 if self.trial_until else self.status.concurrency


@dataclass(slots=True, eq=False)
class Deployment:
    record: DeploymentRecord
    replicas: dict[str, Replica] = field(default_factory=dict)
    routable: tuple[Replica, ...] = ()  # kept up to date at every change, so that a request only reads it
    reached: bool = False  # its wanted replicas have all been ready at once since this gateway started
    service_seconds: float = 0.0  # that a request takes a slot, on average of late: the dispatcher's
    asked_for: bool = False  # in the fleet's table; else only a worker told of it
