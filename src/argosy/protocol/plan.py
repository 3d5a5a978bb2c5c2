"""`argosy plan --json`, `argosy devices --json` (also GET /argosy/v1/fleet/machines): for scripts; fields are added,
never renamed or removed."""

from __future__ import annotations

import msgspec


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one replica gets of a GPU or of a node's memory."""

    replica: str
    memory_bytes: int
    fleet: str = ""  # where several are told of


class PlannedDevice(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    uuid: str
    name: str
    memory_bytes: int
    limit_bytes: int  # what the fleet may plan with: its budget
    others_bytes: int = 0  # what is not the fleet's
    planned_bytes: int = 0
    replicas: list[Share] = []


class PlannedNode(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    cores: int
    memory_bytes: int | None  # its own; None: not known
    planned_bytes: int = 0
    replicas: list[Share] = []  # that run on the CPU
    devices: list[PlannedDevice] = []
    why_no_gpu: str = ""


class PlannedReplica(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    node: str
    devices: list[int] | None  # GPUs that it sees, by their indices; null: what its worker sees
    change: str  # start | keep | restart
    why: str
    needs: str = ""  # of memory, in parts; "" where nobody knows


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    replica: str
    reason: str
    runs: bool = False  # as it was before; it stays so


class PlannedChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of replicas: what `argosy up` would do."""

    start: list[str] = []
    keep: list[str] = []
    restart: list[str] = []
    stop: list[str] = []


class FleetPlan(msgspec.Struct, frozen=True, kw_only=True):
    fleet: str
    possible: bool  # every replica has a place
    simulated: bool  # a file tells of the GPUs
    nodes: list[PlannedNode]
    replicas: list[PlannedReplica]
    refused: list[Refusal]
    changes: PlannedChanges
    notes: list[str] = []  # what the plan could not reckon with


class DeviceProcessReport(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    memory_bytes: int | None
    name: str = ""
    replica: str = ""  # whose engine it is; none: a stranger's


class MigInstanceReport(msgspec.Struct, frozen=True, kw_only=True):
    uuid: str
    name: str


class DeviceReport(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    uuid: str
    name: str
    memory_bytes: int
    free_bytes: int
    replicas: list[Share] = []  # what they were given, which they need not have taken yet
    processes: list[DeviceProcessReport] = []
    mig: bool = False  # it is split by MIG and not planned with; its parts:
    instances: list[MigInstanceReport] = []


class DevicesReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine has for replicas, now, and who uses it."""

    node: str
    cores: int
    memory_bytes: int
    free_bytes: int
    simulated: bool
    why_no_gpu: str
    devices: list[DeviceReport]
