"""Coroutines beside each other: which of them ends the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any


async def first_of(task: asyncio.Task[None], *waits: Coroutine[Any, Any, object]) -> None:
    """Returns when the task or one of the waits is done; the waits end here, the task goes on."""
    others = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait({task, *others}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for other in others:
            other.cancel()


@contextlib.asynccontextmanager
async def background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs beside the body and ends with it; a fault in it ends the body."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        yield
        for task in tasks:
            task.cancel()
