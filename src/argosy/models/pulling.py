"""A download as events, for whoever asked for it over HTTP. Ends with them: nobody listens, nothing is fetched."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from argosy.errors import SourceError
from argosy.models.progress import Progress
from argosy.models.resolve import key_of, resolve
from argosy.protocol.admin import PullEvent

_EVERY_SECONDS = 0.25


async def pull(
    source: str, *, cache: Path, variables: Mapping[str, str], order: Sequence[str]
) -> AsyncIterator[PullEvent]:
    """Its progress, then whether it is there; parameters are `resolve`'s.

    Raises SourceError, before anything else, for what is no source.
    """
    if key_of(source) is None:
        raise SourceError(f"{source!r} is a path: what lies on that machine need not be pulled", permanent=True)
    cancelled, latest = threading.Event(), list[Progress]()

    def note(progress: Progress) -> None:
        latest[:] = [progress]

    def fetch() -> Path:
        return resolve(
            source, cache=cache, progress=note, cancelled=cancelled, variables=variables, order=order, verify=True
        )

    fetching = asyncio.create_task(asyncio.to_thread(fetch))
    try:
        yield PullEvent(state="progress", text=source)
        told: Progress | None = None
        while not (await asyncio.wait({fetching}, timeout=_EVERY_SECONDS))[0]:
            if latest and latest[-1] is not told:
                told = latest[-1]
                yield PullEvent(
                    state="progress", text=str(told), done_bytes=told.done_bytes, total_bytes=told.total_bytes
                )
        try:
            yield PullEvent(state="done", text=str(await fetching))
        except SourceError as error:
            yield PullEvent(state="failed", text=str(error))
    finally:
        cancelled.set()
