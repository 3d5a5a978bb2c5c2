"""Who a process is: its pid and when it started. A pid alone may have been given to a stranger since."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable

import msgspec
import psutil


class ProcessIdentity(msgspec.Struct, frozen=True):
    """A process of ours on this machine, as recorded in state folders."""

    pid: int
    started: float  # psutil's create_time, Unix seconds

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """Raises ProcessLookupError when there is no such process."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            raise ProcessLookupError(f"no process {pid}") from None

    @classmethod
    def own(cls) -> ProcessIdentity:
        return cls.of(os.getpid())

    @property
    def alive(self) -> bool:
        """It runs and is no zombie."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < 0.05 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def send_signal(self, number: signal.Signals) -> None:
        """Does nothing when the process is gone: a stranger with its pid is never signalled."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def wait_gone(processes: Iterable[ProcessIdentity], seconds: float) -> list[ProcessIdentity]:
    """Blocks until all are gone or the time is over; returns those still alive."""
    deadline = time.monotonic() + seconds
    left = [process for process in processes if process.alive]
    while left and time.monotonic() < deadline:
        psutil.wait_procs([psutil.Process(p.pid) for p in left if p.alive], timeout=min(0.2, seconds))
        left = [process for process in left if process.alive]
    return left
