"""Waits for the end of processes that need not be our children. Owns no process: it only watches."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable

from argosy.processes.identity import ProcessIdentity, wait_gone

_LOOK_SECONDS = 0.25  # where the system has no pidfd


async def wait_exit(who: ProcessIdentity) -> None:
    """Returns once it is gone, or has become a zombie that its parent may take away."""
    try:
        handle = os.pidfd_open(who.pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # macOS has none; an old kernel or a sandbox refuses
        while await asyncio.to_thread(wait_gone, [who], _LOOK_SECONDS):
            pass
        return
    try:
        # Only now is the pid held: whether it is still the one that was meant is asked after that.
        if who.alive:
            await _readable(handle)
    finally:
        os.close(handle)


async def wait_all_gone(processes: Iterable[ProcessIdentity], seconds: float) -> list[ProcessIdentity]:
    """Those still alive when the time is over."""
    waits = {asyncio.create_task(wait_exit(who)): who for who in processes}
    if not waits:
        return []
    try:
        await asyncio.wait(waits, timeout=seconds)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    return [who for who in waits.values() if who.alive]


async def _readable(handle: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
