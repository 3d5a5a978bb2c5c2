"""How much memory an engine and all below it hold, for `argosy ps`. Measures; owns nothing.

Pages that several processes share (a model file that is mapped twice, workers of one engine) are divided among them
where the system tells (Linux: PSS), so that replicas may be added up. Elsewhere it is the resident size.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from argosy.worker.board import Board

_INTERVAL_SECONDS = 5.0
_REST_PER_COST = 200.0  # the kernel walks every page: of a very large engine, seldom enough to cost nothing
_NOTABLE = 0.01  # of what was told before; less is no news


def tree_bytes(pids: Iterable[int]) -> int | None:
    """None when none of them lives."""
    found = [size for pid in pids if (size := _process_bytes(pid)) is not None]
    return sum(found) if found else None


async def keep_measured(board: Board, pids: Callable[[], list[int]]) -> None:
    """Tells the board, every few seconds and when its state changes, until cancelled."""
    while True:
        began, measured_in = time.monotonic(), board.state  # the state may change while the kernel counts
        measured = await asyncio.to_thread(tree_bytes, pids())
        cost = time.monotonic() - began
        known = board.status.memory_bytes
        if measured is None or known is None or abs(measured - known) > _NOTABLE * known:
            board.change(memory_bytes=measured)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(_INTERVAL_SECONDS, cost * _REST_PER_COST)):
                await _other_state(board, measured_in)


async def _other_state(board: Board, state: str) -> None:
    while board.state == state:
        await board.differs_from(board.status, _INTERVAL_SECONDS)


def _process_bytes(pid: int) -> int | None:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):  # it has ended, or this system tells no PSS
        pass
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None
