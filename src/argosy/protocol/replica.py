"""What the controller asks of a worker (ReplicaSpec) and what a worker says of itself (ReplicaStatus).

Both are JSON files in the replica's folder on one machine (`spec.json`, `status.json`), each with one writer; the
status also travels inside every heartbeat.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.traits import WELL_BEHAVED, EngineTraits


class ReplicaState(enum.StrEnum):
    """pending → starting → ready → draining → stopped, plus backoff (will retry) and failed (gave up)."""

    PENDING = "pending"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    BACKOFF = "backoff"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """The worker has ended or is about to, by itself."""
        return self in (ReplicaState.STOPPED, ReplicaState.FAILED)


class AssignedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU that a replica was given, and how much of it."""

    index: int
    uuid: str
    memory_bytes: int  # all of it
    budget_bytes: int  # what of it the replica may take
    simulated: bool = False  # told by a file, so that nothing is really there

    @property
    def fraction(self) -> float:
        """Of its memory that the replica may take, as vLLM and SGLang want it: never more than the budget."""
        return int(self.budget_bytes / max(1, self.memory_bytes) * 1000) / 1000

    @property
    def label(self) -> str:
        return f"gpu{self.index}{' (simulated)' if self.simulated else ''}"


class ModelIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What tells one model from another behind the same name."""

    source: str  # as the user wrote it, with its revision; "engine echo" where there is none
    weights: str = ""  # fingerprint of the files (models/identity.py); "" while they are not on that machine

    def is_same(self, other: ModelIdentity) -> bool:
        """By the weights where both are known, else by where they come from."""
        if self.weights and other.weights:
            return self.weights == other.weights
        return self.source == other.source

    def __str__(self) -> str:
        return f"{self.source} (weights {self.weights[:12]})" if self.weights else self.source


class JoinSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker that was started by hand is reached by gateways."""

    port: int = 0  # of its listener; 0: one of the system's choice
    advertise: str | None = None  # http://host[:port] that gateways are told; None: derived


class FastChatSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a worker registers as one of FastChat's too."""

    controller: str  # http://host:21001
    port: int = 0  # of its door for FastChat's processes; 0: a free one
    advertise: str | None = None  # http://host:port that the controller is told; None: derived


class ReplicaSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One replica that a launcher is asked to run. (id, generation) is the idempotency key; generation + 1 replaces."""

    id: str  # smollm2.0
    generation: int
    deployment: DeploymentRecord
    config: dict[str, Any]  # the deployment as in the fleet file: argosy.config.schema.Deployment
    gateways: list[str]  # http://host:port of every gateway known at the start; heartbeats' answers update the list
    grace_seconds: float
    node: str | None = None  # None: any
    # GPUs in the order in which it sees them, and no others; (): it sees none; None: nobody says, it sees what we see.
    devices: tuple[AssignedDevice, ...] | None = None
    fastchat: FastChatSettings | None = None
    join: JoinSettings | None = None  # None: a launcher started it
    restart: int = 0  # revision of the latest `argosy restart` that this start answers


class ReplicaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of its replica. Times are Unix seconds."""

    id: str
    generation: int
    epoch: int  # the engine's incarnation: grows with every start of the engine, over worker restarts too
    state: str  # a ReplicaState; a reader that does not know it takes it for "not routable"
    since: float  # when this state began
    reason: str = ""  # why it is so, a sentence: download progress, the error and last log lines of a failure
    node: str = ""
    devices: list[str] = []  # labels: gpu2, cpu; nothing where it sees what its worker sees
    address: str | None = None  # http://127.0.0.1:41234: where requests go; None until the engine listens
    worker: str = ""  # drawn at random at every start of the worker: commands are for one of them
    worker_pid: int = 0
    engine_pid: int | None = None
    memory_bytes: int | None = None  # of the engine and all below it; None: not known
    restarts: int = 0  # of the engine, within this worker
    concurrency: int = 1  # requests in flight this replica takes; more wait in the gateway
    weight: float = 1.0  # its share of the requests beside the others'
    paths: list[str] = []  # of protocol/endpoints.py, those that it serves; none told: all
    traits: EngineTraits = WELL_BEHAVED
    health: str = "/health"  # GET this (with the engine's key) to probe it
    by_hand: bool = False  # no controller started it: a gateway calls it back before it sends anything there
    model: ModelIdentity | None = None
    upstream_model: str | None = None  # when set, a request's model is rewritten to it …
    adapters: list[str] = []  # … but for these, which the engine knows by their own names

    @property
    def over(self) -> bool:
        """It has said its last word."""
        return self.state in (ReplicaState.STOPPED, ReplicaState.FAILED)
