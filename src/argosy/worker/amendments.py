"""The spec as the controller rewrites it under a running worker: what changes without another start. Reads it only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from argosy.protocol.replica import ReplicaSpec
from argosy.state import read_json

_LOOK_SECONDS = 1.0


async def amendments(file: Path, generation: int) -> AsyncIterator[ReplicaSpec]:
    """The spec of this generation, now and whenever it was written again."""
    seen = 0
    while True:
        if (when := _changed_at(file)) != seen:
            seen = when
            spec = read_json(file, ReplicaSpec)
            if spec is not None and spec.generation == generation:
                yield spec
        await asyncio.sleep(_LOOK_SECONDS)  # the change of a file is no event that could be awaited


def _changed_at(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
