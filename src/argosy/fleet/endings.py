"""Ends one process of a fleet: asks, waits, insists, kills, and makes sure of its descendants. Touches no files."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from argosy.fleet.exits import wait_all_gone, wait_exit
from argosy.processes.identity import ProcessIdentity

_INSIST_SECONDS = 5.0  # after the second SIGTERM, which means "now"
_KILL_SECONDS = 3.0
_DESCENDANTS_SECONDS = 1.5  # a guard needs a second at most


async def end_process(
    who: ProcessIdentity, *, polite_seconds: float, hurry: asyncio.Event | None = None, asked_already: bool = False
) -> None:
    """SIGTERM and `polite_seconds` to finish, SIGTERM again (now!), SIGKILL. Returns when it is gone.

    `hurry` cuts the first wait short. `asked_already`: it got its first SIGTERM before; another would mean "now".
    """
    if not asked_already:
        who.send_signal(signal.SIGTERM)
    if await _gone(who, polite_seconds, hurry):
        return
    who.send_signal(signal.SIGTERM)
    if await _gone(who, _INSIST_SECONDS):
        return
    who.send_signal(signal.SIGKILL)
    await _gone(who, _KILL_SECONDS)


async def end_descendants(recorded: Callable[[], list[ProcessIdentity]]) -> None:
    """Makes sure that what a dead process left recorded (its guard and engine) is gone too."""
    for who in await wait_all_gone(recorded(), _DESCENDANTS_SECONDS):
        who.send_signal(signal.SIGKILL)
    await wait_all_gone(recorded(), _KILL_SECONDS)


async def _gone(who: ProcessIdentity, seconds: float, hurry: asyncio.Event | None = None) -> bool:
    waits: list[asyncio.Task[object]] = [asyncio.create_task(wait_exit(who))]
    if hurry is not None:
        waits.append(asyncio.create_task(hurry.wait()))
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    return not who.alive
