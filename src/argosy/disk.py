"""What processes that share a folder ask of the disk: who may write there now, and how much lies there."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

POLL_SECONDS = 0.2  # neither a file lock nor a growing folder can be awaited together with a cancellation


@contextlib.contextmanager
def opened_lock(file: Path) -> Iterator[int]:
    """A handle for `try_lock`; what it locked is free at the end, and when this process dies.

    The file stays: removing it would let two processes hold locks on two files of the same name.
    """
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def folder_bytes(folder: Path) -> int:
    """What the files in a folder hold together, while another process writes and moves them."""
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(root) / file).stat().st_size
    return total
