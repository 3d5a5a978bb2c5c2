"""Fetches a replica's weights without holding up its worker: in a thread, with progress, given up when cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from argosy.errors import EngineError, SourceError
from argosy.models.resolve import Progress, check_source, resolve

_REPORT_SECONDS = 0.5


async def fetch(
    source: str,
    *,
    cache: Path,
    variables: Mapping[str, str],
    report: Callable[[str], None],
    order: Sequence[str] = (),
) -> Path:
    """The weights' path; `report` is told how far it is, at most twice a second.

    Raises SourceError, and EngineError(permanent=True) for a source that no second try can fetch.
    """
    try:
        check_source(source)
    except SourceError as error:
        raise EngineError(str(error), permanent=True) from None
    cancelled = threading.Event()
    loop = asyncio.get_running_loop()
    last = 0.0

    def progress(made: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _REPORT_SECONDS:
            last = time.monotonic()
            loop.call_soon_threadsafe(report, str(made))

    fetching = asyncio.create_task(
        asyncio.to_thread(
            resolve,
            source,
            cache=cache,
            progress=progress,
            cancelled=cancelled,
            variables=variables,
            order=order,
        )
    )
    try:
        return await asyncio.shield(fetching)
    except asyncio.CancelledError:
        cancelled.set()
        with contextlib.suppress(SourceError):
            await fetching
        raise
