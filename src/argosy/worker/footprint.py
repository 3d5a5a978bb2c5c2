"""Keeps what the engine really holds, for the next plan (engines/measured.py): of each of its GPUs, or of memory.

The most of one life counts: caches fill as requests come. The next load begins anew, so that the last one is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy.config.schema import Deployment
from argosy.devices.device import DeviceSource
from argosy.engines.measured import Footprints, footprint_key
from argosy.protocol.replica import AssignedDevice, ReplicaState
from argosy.telemetry.logging import EventLog
from argosy.worker.board import Board

_INTERVAL_SECONDS = 10.0

_log = EventLog("worker")


@dataclass
class Footprint:
    """Of one replica. `source`: asked for the GPUs' memory, where it was given some."""

    footprints: Footprints
    deployment: Deployment
    devices: Sequence[AssignedDevice] | None
    source: DeviceSource
    path: Path | None = None  # the weights that are loaded
    _epoch: int = -1
    _most: int = 0

    async def keep(self, board: Board, pids: Callable[[], list[int]]) -> None:
        """Until cancelled. `pids`: the engine and all below it."""
        while True:
            status = board.status
            if status.state == ReplicaState.READY:
                if status.epoch != self._epoch:
                    self._epoch, self._most = status.epoch, 0
                held = await asyncio.to_thread(self._held, status.memory_bytes, pids())
                if held is not None and held > self._most:
                    self._most = held
                    await asyncio.to_thread(self._write, held)
            await board.differs_from(board.status, _INTERVAL_SECONDS)

    def _held(self, memory_bytes: int | None, pids: list[int]) -> int | None:
        """Of the GPU that holds most, else of the machine's memory; None where it is not told."""
        if not self.devices:
            return memory_bytes
        if any(each.simulated for each in self.devices):
            return None
        used = self.source.used_by(pids)
        return max((used.get(each.index, 0) for each in self.devices), default=0) or None

    def _write(self, held: int) -> None:
        key = footprint_key(self.deployment, self.path)
        try:
            self.footprints.keep(key, self.deployment, len(self.devices or ()), held)
        except OSError as error:  # a full disk must not end an engine that serves
            _log.warning("footprint.not_written", reason=str(error))
