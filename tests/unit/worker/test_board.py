import asyncio
from pathlib import Path

import pytest

from argosy.protocol.replica import ReplicaState, ReplicaStatus
from argosy.state import read_json
from argosy.worker.board import Board


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(
        tmp_path / "status.json", ReplicaStatus(id="q.0", generation=1, epoch=0, state=ReplicaState.PENDING, since=0.0)
    )


def test_every_change_is_in_the_file_at_once(board: Board, tmp_path: Path) -> None:
    board.change(state=ReplicaState.STARTING, reason="downloading")
    assert read_json(tmp_path / "status.json", ReplicaStatus) == board.status


def test_a_new_state_has_its_own_time_and_forgets_the_old_reason(board: Board) -> None:
    board.change(state=ReplicaState.BACKOFF, reason="it died")
    since = board.status.since
    assert since > 0
    board.change(reason="it died again")
    assert board.status.since == since
    board.change(state=ReplicaState.STARTING)
    assert board.status.reason == ""


async def test_who_waits_is_woken_by_a_change_and_by_nothing_else(board: Board) -> None:
    waiting = asyncio.create_task(board.differs_from(board.status, 60))
    await asyncio.wait({waiting}, timeout=0.01)
    board.change(state=ReplicaState.PENDING)  # no change
    await asyncio.wait({waiting}, timeout=0.01)
    assert not waiting.done()
    board.change(state=ReplicaState.STARTING)
    await asyncio.wait_for(waiting, 1)


async def test_a_change_before_the_wait_is_not_missed(board: Board) -> None:
    seen = board.status
    board.change(state=ReplicaState.STARTING)
    await asyncio.wait_for(board.differs_from(seen, 60), 1)


def test_a_folder_that_cannot_be_written_ends_nothing(board: Board, tmp_path: Path) -> None:
    (tmp_path / "status.json").unlink()
    (tmp_path / "status.json").mkdir()
    board.change(state=ReplicaState.READY)
    assert board.state is ReplicaState.READY
