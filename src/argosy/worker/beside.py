"""Work that blocks, without holding up its worker: in a thread, with progress, given up when cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from argosy.errors import InputError

T = TypeVar("T")
_REPORT_SECONDS = 0.5


async def beside(work: Callable[[Callable[[object], None], threading.Event], T], report: Callable[[str], None]) -> T:
    """What `work` returns or raises. It is given where to tell its progress, of which `report` hears at most twice a
    second, and an event: once that is set, it must end soon, with an InputError."""
    cancelled = threading.Event()
    loop = asyncio.get_running_loop()
    last = 0.0

    def progress(made: object) -> None:
        nonlocal last
        if time.monotonic() - last >= _REPORT_SECONDS:
            last = time.monotonic()
            loop.call_soon_threadsafe(report, str(made))

    working = asyncio.create_task(asyncio.to_thread(work, progress, cancelled))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        cancelled.set()
        with contextlib.suppress(InputError):
            await working
        raise
