"""Gateways that another one replaces: they hand over their workers, finish what they have, and end.

Owns gateway.old.json, so that a controller that comes later ends them too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from argosy.fleet.endings import end_process
from argosy.processes.identity import ProcessIdentity
from argosy.state import FleetFolder, ProcessRecord, read_json, write_json
from argosy.telemetry.logging import EventLog

_BEYOND_GRACE_SECONDS = 5.0

_log = EventLog("retirement")


def retiring_gateways(folder: FleetFolder) -> list[ProcessRecord]:
    """Those that still live, as recorded."""
    recorded = read_json(folder.replaced_gateways, list[ProcessRecord]) or []
    return [each for each in recorded if each.identity.alive]


class Retirement:
    def __init__(self, folder: FleetFolder) -> None:
        self._folder = folder
        self._gateways: dict[ProcessIdentity, ProcessRecord] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, who: ProcessIdentity) -> bool:
        return who in self._gateways

    @property
    def addresses(self) -> list[str]:
        return [each.address for each in self._gateways.values() if each.address]

    def retire(
        self, old: ProcessRecord, grace_seconds: float, *, after: Coroutine[Any, Any, None] | None = None
    ) -> None:
        """Ends it once `after` has ended; it is recorded from now on."""
        self._gateways[old.identity] = old
        self._write()
        task = asyncio.create_task(self._end(old, grace_seconds, after))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def sweep(self, grace_seconds: float) -> None:
        """Goes on with what an earlier controller had begun."""
        for old in retiring_gateways(self._folder):
            self.retire(old, grace_seconds)

    async def close(self) -> None:
        """Leaves them as they are, to whoever takes the fleet over or down."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self, old: ProcessRecord, grace_seconds: float, after: Coroutine[Any, Any, None] | None) -> None:
        if after is not None:
            await after
        await end_process(old.identity, polite_seconds=grace_seconds + _BEYOND_GRACE_SECONDS)
        del self._gateways[old.identity]
        self._write()
        _log.info("gateway.replaced", pid=old.identity.pid, address=old.address)

    def _write(self) -> None:
        write_json(self._folder.replaced_gateways, list(self._gateways.values()))
