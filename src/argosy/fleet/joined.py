"""Workers of this home that were started by hand: found by the records in their folders, ended one by one.

A folder has them beside its fleet's own (`argosy worker` on the gateway's machine) or alone (its gateway is elsewhere).
Nothing else is signalled: a record counts by pid and start time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from argosy.fleet.endings import end_descendants, end_process
from argosy.fleet.planner import deployment_of, joined_id
from argosy.processes.identity import ProcessIdentity
from argosy.protocol.replica import ReplicaSpec
from argosy.state import Home, ProcessRecord, ReplicaFolder, read_json

_ENGINE_STOP_SECONDS = 10.0  # beyond the grace: the engine itself needs time to stop


@dataclass(frozen=True)
class JoinedWorker:
    replica: str
    identity: ProcessIdentity
    grace_seconds: float
    files: ReplicaFolder

    @property
    def deployment(self) -> str:
        return deployment_of(self.replica)


def joined_workers(home: Home) -> Iterator[JoinedWorker]:
    """Those that live."""
    for folder in home.fleets():
        for replica in filter(joined_id, folder.replicas()):
            files = folder.replica(replica)
            record, spec = read_json(files.process, ProcessRecord), read_json(files.spec, ReplicaSpec)
            if record is not None and spec is not None and record.identity.alive:
                yield JoinedWorker(replica, record.identity, spec.grace_seconds, files)


async def end_joined(worker: JoinedWorker) -> None:
    """It drains, says goodbye to its gateways and ends. Returns when it is gone with all below it."""
    engine = read_json(worker.files.engine, list[ProcessIdentity]) or []  # it takes its folder away when it ends
    await end_process(worker.identity, polite_seconds=worker.grace_seconds + _ENGINE_STOP_SECONDS)
    await end_descendants(lambda: [who for who in engine if who.alive])
