"""Coroutines beside each other, and which of them ends the others; waits that end. Knows nothing of Argosy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any


async def first_of(*waits: Coroutine[Any, Any, object] | asyncio.Task[None]) -> None:
    """Returns when one of them is done; the waits end here, a task goes on."""
    tasks = {each: each if isinstance(each, asyncio.Task) else asyncio.create_task(each) for each in waits}
    try:
        await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for given, task in tasks.items():
            if given is not task:
                task.cancel()


async def set_within(event: asyncio.Event, seconds: float) -> None:
    """Returns when the event is set, or the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


@contextlib.asynccontextmanager
async def background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs beside the body and ends with it; a fault in it ends the body."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        yield
        for task in tasks:
            task.cancel()
