"""Stand-ins that keep the contracts of the real ones: a launcher without processes, a gateway without a socket."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

from argosy.config.schema import Gateway
from argosy.fleet.launcher import LaunchedReplica, NodeInfo
from argosy.protocol.admin import FleetTable, ProcessReport, ReplicaView
from argosy.protocol.endpoints import CHAT
from argosy.protocol.replica import ReplicaSpec, ReplicaState, ReplicaStatus


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclasses.dataclass(frozen=True)
class FakeAsked:
    """A request, as far as the dispatcher looks at it."""

    body: bytes = b""
    session: bytes = b""
    path: str = CHAT


class FakeLauncher:
    """Replicas that live and die as the test says; `started` and `stopped` remember what was asked of it."""

    def __init__(self) -> None:
        self.replicas: dict[str, LaunchedReplica] = {}
        self.started: list[tuple[str, int]] = []
        self.stopped: list[str] = []
        self.amended: list[str] = []
        self.may_stop = asyncio.Event()
        self.may_stop.set()
        self.refuses: Exception | None = None
        self._hints: asyncio.Queue[str] = asyncio.Queue()

    def say(self, replica: str, state: ReplicaState, reason: str = "") -> None:
        """The worker writes its status."""
        found = self.replicas[replica]
        status = ReplicaStatus(
            id=replica, generation=found.spec.generation, epoch=1, state=state, since=1.0, reason=reason, worker_pid=1
        )
        self.replicas[replica] = dataclasses.replace(found, status=status)
        self._hints.put_nowait(replica)

    def die(self, replica: str, end: str = "was killed by SIGKILL") -> None:
        self.replicas[replica] = dataclasses.replace(self.replicas[replica], alive=False, end=end)
        self._hints.put_nowait(replica)

    async def nodes(self) -> list[NodeInfo]:
        return [NodeInfo("here")]

    async def start(self, spec: ReplicaSpec) -> None:
        if self.refuses is not None:
            raise self.refuses
        assert spec.id not in self.replicas or not self.replicas[spec.id].alive, f"{spec.id} runs already"
        self.started.append((spec.id, spec.generation))
        self.replicas[spec.id] = LaunchedReplica(spec=spec, alive=True, worker_pid=1)

    async def amend(self, spec: ReplicaSpec) -> None:
        self.amended.append(spec.id)
        self.replicas[spec.id] = dataclasses.replace(self.replicas[spec.id], spec=spec)

    async def stop(
        self,
        replica: str,
        generation: int | None = None,
        *,
        grace_seconds: float,
        hurry: asyncio.Event | None = None,
    ) -> None:
        self.stopped.append(replica)
        await self.may_stop.wait()
        self.say(replica, ReplicaState.STOPPED)
        self.die(replica, "exited with code 0")

    async def list(self) -> list[LaunchedReplica]:
        return list(self.replicas.values())

    def last_lines(self, replica: str) -> str:
        return f"the last line of {replica}"

    async def watch(self) -> AsyncIterator[str]:
        while True:
            yield await self._hints.get()

    async def close(self) -> None:
        return


class FakeGateway:
    """A gateway that is there at once and remembers the tables it was told."""

    def __init__(self) -> None:
        self.address: str | None = "http://127.0.0.1:1"
        self.starting = False
        self.views: list[ReplicaView] = []
        self.waiting: dict[str, int] = {}
        self.tables: list[FleetTable] = []
        self.outdated = False
        self.state = "running"

    def keep(self, settings: Gateway, now: float, *, grace_seconds: float) -> None:
        return

    def renew(self, *, outdated: bool) -> None:
        self.outdated = outdated

    async def tell(self, table: FleetTable, now: float) -> None:
        self.tables.append(table)

    def report(self, *, going_down: bool = False) -> ProcessReport:
        return ProcessReport(state=self.state, address=self.address)

    def sweep(self, grace_seconds: float) -> None:
        return

    async def close(self) -> None:
        return
