"""The fleet's own surface under /argosy/v1: what the controller pushes to gateways, and what `argosy ps` reads.

Everything here but the first wants the admin key (`authorization: Bearer …`).

    GET  /argosy/v1/models           gateway     list[ModelView], for a client key: what it may use
    PUT  /argosy/v1/table            gateway     FleetTable → TableAnswer, from the controller, once a second
    GET  /argosy/v1/replicas         gateway     list[ReplicaView]: its registry
    GET  /argosy/v1/logs/REPLICA     gateway     text, by the replica's worker: see protocol/replica_log.py
    POST /argosy/v1/replicas/drain/REPLICA   gateway   → {}, when its worker is told; ?now=1: it ends at once
    *    /argosy/v1/fleet/…          gateway     passed on to the controller:
    GET  /argosy/v1/fleet            controller  FleetReport
    PUT  /argosy/v1/fleet            controller  FleetRequest → FleetReport: apply another fleet file
    GET  /argosy/v1/fleet/events     controller  SSE of Event
    POST /argosy/v1/fleet/stop/NAME      controller  → FleetReport
    POST /argosy/v1/fleet/start/NAME     controller  → FleetReport; NAME: a deployment, or a replica that was drained
    POST /argosy/v1/fleet/scale/NAME     controller  → FleetReport; ?replicas=N
    POST /argosy/v1/fleet/restart/NAME   controller  → FleetReport
    POST /argosy/v1/fleet/drain/REPLICA  controller  → FleetReport
    GET  /argosy/v1/fleet/machines       controller  list[DevicesReport] (protocol/plan.py)
    POST /argosy/v1/fleet/pull           controller  SSE of PullEvent; ?source=…: fetches weights into the cache
    POST /argosy/v1/fleet/down           controller  → {}; ?now=1 does not wait for running requests

docs/reference/http.md tells it with examples.
"""

from __future__ import annotations

from typing import Any

import msgspec

from argosy.protocol.deployment import DeploymentRecord, RemoteRecord


class FleetTable(msgspec.Struct, frozen=True, kw_only=True):
    """Desired state as a gateway needs it."""

    revision: int
    gateways: list[str] = []  # http://host:port as workers reach them
    controller: str | None = None  # where /argosy/v1/fleet/… is passed on to
    deployments: list[DeploymentRecord] = []
    remotes: list[RemoteRecord] = []  # one for each deployment whose engine is `remote`
    failed: dict[str, str] = {}  # replica id → reason, of those that gave up


class TableAnswer(msgspec.Struct, frozen=True, kw_only=True):
    revision: int
    waiting: dict[str, int] = {}  # deployment → requests that wait for a replica now
    in_flight: dict[str, int] = {}  # replica id → requests


class ReplicaView(msgspec.Struct, frozen=True, kw_only=True):
    """A replica as one gateway sees it."""

    id: str
    deployment: str
    state: str
    reason: str
    address: str | None
    in_flight: int
    routable: bool
    node: str = ""
    devices: list[str] = []
    worker_pid: int = 0
    engine_pid: int | None = None
    restarts: int = 0
    since: float = 0.0
    tokens_per_second: float = 0.0  # generated, through this gateway, over the last seconds
    memory_bytes: int | None = None


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment as whoever may use it sees it."""

    name: str
    aliases: list[str] = []
    task: str = "generate"  # generate | embed
    state: str  # as /ready tells it: ready | degraded | starting | backoff | failed | stopped
    wanted: int
    ready: int  # replicas to which requests are sent now
    in_flight: int
    waiting: int  # requests in line
    sees: bool | None = None  # it takes images; None: nobody knows


class ReplicaReport(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    state: str
    reason: str = ""
    node: str = ""
    devices: list[str] = []
    address: str | None = None
    worker_pid: int | None = None
    engine_pid: int | None = None
    in_flight: int = 0
    restarts: int = 0  # of its engine and of its worker together
    since: float = 0.0  # when this state began, Unix seconds
    tokens_per_second: float = 0.0  # generated, over the last seconds
    memory_bytes: int | None = None  # of the engine and all below it; None: not known


class DeploymentReport(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    engine: str
    source: str | None = None
    aliases: list[str] = []
    wanted: int = 1
    ready: int = 0
    stopped: bool = False
    waiting: int = 0
    replicas: list[ReplicaReport] = []


class ProcessReport(msgspec.Struct, frozen=True, kw_only=True):
    state: str  # running | starting | backoff | failed | gone | none (there never was one)
    pid: int | None = None
    address: str | None = None
    reason: str = ""
    restarts: int = 0
    since: float = 0.0


class FleetReport(msgspec.Struct, frozen=True, kw_only=True):
    """`argosy ps --json`: for scripts; fields are added, never renamed or removed."""

    name: str
    gateways: list[ProcessReport] = []
    controller: ProcessReport
    fastchat: ProcessReport | None = None  # the listener for old FastChat processes, where one is wanted
    deployments: list[DeploymentReport] = []


class PullEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Of one download: how far it is, then its end."""

    state: str  # progress | done | failed
    text: str  # a phrase for a person, the path where it lies, or why it failed
    done_bytes: int = 0
    total_bytes: int | None = None


class FleetRequest(msgspec.Struct, frozen=True, kw_only=True):
    fleet: dict[str, Any]  # argosy.config.schema.Fleet as JSON


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change of state, for `argosy up` and logs."""

    at: float  # Unix seconds; 0.0: of what is so already, and nobody knows since when
    kind: str  # replica | gateway | controller | fleet
    name: str
    state: str
    reason: str = ""
