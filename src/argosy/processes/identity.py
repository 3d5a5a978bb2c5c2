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

    def process(self) -> psutil.Process | None:
        """The process, or None when it is gone, a zombie, or another one has its pid."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.started) < 0.05 and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return found if same else None

    @property
    def alive(self) -> bool:
        return self.process() is not None

    def send_signal(self, number: signal.Signals) -> None:
        """Does nothing when the process is gone: a stranger with its pid is never signalled."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def wait_gone(processes: Iterable[ProcessIdentity], seconds: float) -> list[ProcessIdentity]:
    """Blocks until all are gone or the time is over; returns those still alive."""
    deadline = time.monotonic() + seconds
    wanted = list(processes)
    while left := [(who, process) for who in wanted if (process := who.process())]:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        psutil.wait_procs([process for _, process in left], timeout=min(0.2, remaining))
    return [who for who, _ in left]
