"""The board: what this worker says of its replica now. Owns status.json; announcers wait here for changes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import msgspec

from argosy.protocol.replica import ReplicaState, ReplicaStatus
from argosy.state import write_json
from argosy.telemetry.logging import EventLog

_log = EventLog("worker")


class Board:
    """One writer (the worker's main task), many readers."""

    def __init__(self, file: Path, status: ReplicaStatus) -> None:
        self._file = file
        self._changed = asyncio.Event()
        self.status = status
        self._write()

    @property
    def state(self) -> ReplicaState:
        return ReplicaState(self.status.state)

    def change(self, **fields: object) -> None:
        """New values of ReplicaStatus's fields. A change of state gets a log line; without a reason, it has none."""
        old = self.status
        if fields.get("state", old.state) != old.state:
            fields = {"reason": "", "since": time.time(), **fields}
        self.status = msgspec.structs.replace(old, **fields)
        if self.status == old:
            return
        self._write()
        if self.status.state != old.state:
            _log.info(
                f"replica.{self.status.state}",
                replica=self.status.id,
                epoch=self.status.epoch,
                seconds=self.status.since - old.since,  # in the state before
                address=self.status.address,
                engine_pid=self.status.engine_pid,
                reason=self.status.reason or None,
            )
        self._changed.set()
        self._changed = asyncio.Event()

    async def differs_from(self, seen: ReplicaStatus, seconds: float) -> None:
        """Returns when the status is no longer the one seen, or after so many seconds."""
        if self.status is seen:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    def _write(self) -> None:
        try:
            write_json(self._file, self.status)
        except OSError as error:  # a full disk must not end an engine that serves; heartbeats still tell
            _log.warning("status.not_written", replica=self.status.id, reason=str(error))
