from __future__ import annotations

import asyncio
import os
from pathlib import Path

from argosy.protocol.replica import ReplicaStatus
from argosy.worker.board import Board
from argosy.worker.memory import keep_measured, tree_bytes
from waiting import eventually

MIB = 1024 * 1024


def test_a_process_holds_memory_and_one_that_is_gone_none() -> None:
    own = tree_bytes([os.getpid()])
    assert own is not None
    assert own > 5 * MIB
    assert tree_bytes([2**22 + 1]) is None
    assert tree_bytes([]) is None


async def test_a_state_that_changes_while_it_is_measured_is_measured_anew(tmp_path: Path) -> None:
    """The state changes in the very call that tells whose memory counts: too late for this time."""
    status = ReplicaStatus(id="a.0", generation=1, epoch=1, state="starting", since=1.0)
    board, asked = Board(tmp_path / "status.json", status), list[str]()

    def pids() -> list[int]:
        asked.append(board.state)
        board.change(state="ready")
        return [os.getpid()] if len(asked) > 1 else []

    task = asyncio.create_task(keep_measured(board, pids))
    await eventually(lambda: board.status.memory_bytes, seconds=4)  # less than the pause between two looks
    assert asked == ["starting", "ready"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_is_told_when_the_state_changes_and_taken_back_with_the_engine(tmp_path: Path) -> None:
    status = ReplicaStatus(id="a.0", generation=1, epoch=1, state="starting", since=1.0)
    board, pids = Board(tmp_path / "status.json", status), list[int]()
    task = asyncio.create_task(keep_measured(board, lambda: pids))
    await asyncio.sleep(0)
    assert board.status.memory_bytes is None
    pids.append(os.getpid())
    board.change(state="ready")
    await eventually(lambda: board.status.memory_bytes)
    pids.clear()
    board.change(state="backoff")
    await eventually(lambda: board.status.memory_bytes is None)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
