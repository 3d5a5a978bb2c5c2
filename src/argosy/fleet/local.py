"""The launcher of this machine: one detached worker process per replica, known by the files in its folder.

Owns spec.json and process.json. It need not be the parent of what it lists, so that a new controller adopts.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import platform
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import psutil

from argosy.devices.device import Device
from argosy.devices.inventory import Machine
from argosy.fleet.claims import claimed_by_others
from argosy.fleet.endings import end_descendants, end_process
from argosy.fleet.exits import wait_exit
from argosy.fleet.last_lines import last_lines
from argosy.fleet.launcher import LaunchedReplica, NodeInfo
from argosy.fleet.planner import planned_id
from argosy.processes.detach import DetachedProcess, start_detached
from argosy.processes.identity import ProcessIdentity
from argosy.protocol.replica import ReplicaSpec, ReplicaState, ReplicaStatus
from argosy.state import FleetFolder, ProcessRecord, ReplicaFolder, read_json, write_json

_LOOK_SECONDS = 0.25  # how often status files are looked at
_ENGINE_STOP_SECONDS = 10.0  # beyond the grace: the engine itself needs time to stop


class LocalLauncher:
    """`argv` is what starts a worker, before its spec file's path (tests start a stand-in). `machine`: asked for what
    this node has; None: nobody looks, so nothing is known of it."""

    def __init__(
        self,
        folder: FleetFolder,
        *,
        argv: tuple[str, ...] = (sys.executable, "-m", "argosy", "worker", "--spec"),
        env: Mapping[str, str] | None = None,
        machine: Machine | None = None,
    ) -> None:
        self._folder = folder
        self._machine = machine
        self._devices: tuple[Device, ...] = ()  # seen last: a driver that does not answer for once moves nothing
        self._argv = argv
        self._env = env
        self._children: dict[ProcessIdentity, DetachedProcess] = {}
        self._asked: set[ProcessIdentity] = set()  # got their first SIGTERM
        self._watches: dict[ProcessIdentity, asyncio.Task[None]] = {}
        self._hints: set[str] = set()
        self._hinted = asyncio.Event()

    async def nodes(self) -> list[NodeInfo]:
        if self._machine is None:
            return [NodeInfo(platform.node())]
        seen = await asyncio.to_thread(self._machine.look)
        self._devices = seen.devices or self._devices
        claimed = claimed_by_others(self._folder) if self._devices else {}
        return [NodeInfo.of(dataclasses.replace(seen, devices=self._devices), claimed)]

    async def start(self, spec: ReplicaSpec) -> None:
        files = self._folder.replica(spec.id)
        if self._worker(files) is not None:
            return
        write_json(files.spec, spec)
        child = start_detached(
            [*self._argv, str(files.spec)], log=self._folder.log(spec.id), cwd=self._folder.root, env=self._env
        )
        write_json(files.process, ProcessRecord(identity=child.identity))
        self._children = {who: one for who, one in self._children.items() if one.how_it_ended() is None}
        self._children[child.identity] = child
        self._watch(child.identity, spec.id)

    async def amend(self, spec: ReplicaSpec) -> None:
        write_json(self._folder.replica(spec.id).spec, spec)  # the worker looks at it once a second

    async def stop(
        self,
        replica: str,
        generation: int | None = None,
        *,
        grace_seconds: float,
        hurry: asyncio.Event | None = None,
    ) -> None:
        files = self._folder.replica(replica)
        spec = read_json(files.spec, ReplicaSpec)
        if spec is not None and generation is not None and spec.generation != generation:
            return
        if (who := self._worker(files)) is not None:
            status = self._status(files, who.pid)
            draining = status is not None and status.state == ReplicaState.DRAINING
            asked = draining or who in self._asked
            self._asked.add(who)
            try:
                await end_process(
                    who, polite_seconds=grace_seconds + _ENGINE_STOP_SECONDS, hurry=hurry, asked_already=asked
                )
            finally:
                self._reap(who)
            self._asked.discard(who)
        await end_descendants(lambda: read_json(files.engine, list[ProcessIdentity]) or [])

    async def list(self) -> list[LaunchedReplica]:
        found = []
        for replica in filter(planned_id, self._folder.replicas()):
            files = self._folder.replica(replica)
            if (spec := read_json(files.spec, ReplicaSpec)) is None:
                continue  # cut off before its start, or of another version: it is started anew
            who = self._worker(files)
            record = read_json(files.process, ProcessRecord)
            pid = who.pid if who else record.identity.pid if record else None
            end = ""
            if who is not None:
                self._watch(who, replica)
            elif record is not None:
                end = self._reap(record.identity)
            found.append(
                LaunchedReplica(
                    spec=spec,
                    alive=who is not None,
                    status=None if pid is None else self._status(files, pid),
                    worker_pid=None if who is None else pid,
                    end=end,
                )
            )
        return found

    def last_lines(self, replica: str) -> str:
        return last_lines(self._folder.log(replica))

    async def watch(self) -> AsyncIterator[str]:
        seen: dict[str, int] = {}
        while True:
            # The folder has no event to await in the standard library: status files are looked at.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._hinted.wait()
            self._hinted.clear()
            changed, self._hints = self._hints, set()
            for replica in self._folder.replicas():
                when = _changed_at(self._folder.replica(replica).status)
                if seen.get(replica) != when:
                    seen[replica] = when
                    changed.add(replica)
            for replica in sorted(changed):
                yield replica

    async def close(self) -> None:
        watches = list(self._watches.values())
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)

    def _worker(self, files: ReplicaFolder) -> ProcessIdentity | None:
        """The replica's live worker."""
        record = read_json(files.process, ProcessRecord)
        if record is not None and record.identity.alive:
            return record.identity
        # A controller killed between the start of a worker and its record leaves one that only its status names.
        status = read_json(files.status, ReplicaStatus)
        if status is None or not status.worker_pid or not _runs_spec(status.worker_pid, files.spec):
            return None
        who = ProcessIdentity.of(status.worker_pid)
        write_json(files.process, ProcessRecord(identity=who))
        return who

    def _status(self, files: ReplicaFolder, pid: int) -> ReplicaStatus | None:
        """What this very worker said; not what an earlier one left behind."""
        status = read_json(files.status, ReplicaStatus)
        return status if status is not None and status.worker_pid == pid else None

    def _watch(self, who: ProcessIdentity, replica: str) -> None:
        if who in self._watches:
            return

        def over(_: asyncio.Task[None]) -> None:
            self._watches.pop(who, None)
            self._hints.add(replica)
            self._hinted.set()

        task = self._watches[who] = asyncio.create_task(wait_exit(who))
        task.add_done_callback(over)

    def _reap(self, who: ProcessIdentity) -> str:
        child = self._children.get(who)
        return (child.how_it_ended() or "") if child is not None else ""


def _runs_spec(pid: int, spec: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and str(spec) in process.cmdline()
    except psutil.Error:
        return False


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
