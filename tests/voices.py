"""Heartbeats as a worker of one replica sends them: each with a higher seq, all it does not say anew as it was."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.heartbeat import Heartbeat
from argosy.protocol.replica import ReplicaState, ReplicaStatus


class WorkerVoice:
    """`changes` of a beat stay: what is said once is so until it is said otherwise."""

    def __init__(self, replica: str = "m.0", record: DeploymentRecord | None = None, **fields: Any) -> None:
        deployment = replica.rpartition(".")[0]
        self.record = record or DeploymentRecord(name=deployment, revision=1)
        self.seq = time.time_ns()
        self.status = ReplicaStatus(
            id=replica, generation=1, epoch=1, state=ReplicaState.READY, since=0.0, address="http://127.0.0.1:9"
        )
        self.status = msgspec.structs.replace(self.status, **fields)

    def beat(self, state: str | None = None, **changes: Any) -> Heartbeat:
        if state is not None:
            changes["state"] = state
        self.status = msgspec.structs.replace(self.status, **changes)
        self.seq += 1
        return Heartbeat(seq=self.seq, status=self.status, deployment=self.record)
