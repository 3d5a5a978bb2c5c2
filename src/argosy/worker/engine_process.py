"""One engine under its guard: started, watched, stopped. Owns the guard, the pipes to it, and engine.json.

What the engine serves and whether it is ready is incarnation.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from argosy.engines.base import Launch
from argosy.processes.identity import ProcessIdentity, wait_gone
from argosy.state import read_json, write_json
from argosy.telemetry.logging import EventLog
from argosy.worker import guard
from argosy.worker.ending import Ending, LogMark, not_started

_LEFTOVER_SECONDS = 1.0  # a living guard needs no longer to end what is left of a dead worker's engine

_log = EventLog("worker")


class _Report(msgspec.Struct):
    """One line of the guard's."""

    pid: int | None = None
    error: str | None = None
    errno: int = 0
    exit: int | None = None
    asked: bool = False


class EngineProcess:
    """A running engine. Made by `start`; ended when `ended` is done, and then nothing of it is left."""

    ended: asyncio.Task[Ending]  # to be awaited shielded: it belongs to this object

    def __init__(self, popen: subprocess.Popen[bytes], mark: LogMark, record: Path, others: frozenset[int]) -> None:
        self.mark = mark  # where its lines begin in the log
        self.pid = 0
        self._popen = popen
        self._record = record
        self._recorded: list[ProcessIdentity] = []
        self._others = others  # children of this process that have nothing to do with the engine
        self._first: _Report | None = None
        self._has_reported = asyncio.Event()

    @classmethod
    async def start(cls, launch: Launch, *, environment: Mapping[str, str], log: Path, record: Path) -> EngineProcess:
        """Returns once the program runs. `record` is engine.json. Raises EngineError when it cannot be executed."""
        mark, others = LogMark.at_end_of(log), frozenset(_children())
        popen, report_fd = _start_guard(launch, environment, log)
        process = cls(popen, mark, record, others)
        process._remember(popen.pid)
        process.ended = asyncio.create_task(process._watch(report_fd), name="engine's end")
        try:
            await process._has_reported.wait()
        except asyncio.CancelledError:
            await process.stop(0)
            raise
        first = process._first
        if first is not None and first.error is not None:
            await process.ended
            raise not_started(launch.argv[0], first.errno, first.error)
        return process

    async def ends_within(self, seconds: float) -> Ending | None:
        """Its ending, or None when it still runs after so many seconds."""
        await asyncio.wait({self.ended}, timeout=seconds)
        return self.ended.result() if self.ended.done() else None

    async def stop(self, grace_seconds: float) -> Ending:
        """TERM to the whole tree, KILL after the grace; returns when all is gone. A second call can only hasten it."""
        with contextlib.suppress(OSError, ValueError):  # the guard is gone already, or is going
            assert self._popen.stdin is not None
            self._popen.stdin.write(f"stop {grace_seconds:.3f}\n".encode())
        return await asyncio.shield(self.ended)

    def pids(self) -> list[int]:
        """The engine and all below it, now."""
        try:
            engine = psutil.Process(self.pid)
            return [self.pid, *(child.pid for child in engine.children(recursive=True))]
        except psutil.Error:
            return []

    def cpu_seconds(self) -> float:
        """What the engine and all below it have used so far."""
        total = 0.0
        for pid in self.pids():
            with contextlib.suppress(psutil.Error):
                times = psutil.Process(pid).cpu_times()
                total += times.user + times.system
        return total

    def remember_tree(self) -> None:
        """Records what lives below the engine now, for the case that worker and guard are both killed."""
        self._remember(*self.pids())

    async def _watch(self, report_fd: int) -> Ending:
        reports = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reports), os.fdopen(report_fd, "rb", 0)
        )
        ending: Ending | None = None
        while (line := await reports.readline()).endswith(b"\n"):
            report = msgspec.json.decode(line, type=_Report)
            if self._first is None:
                self._first, self.pid = report, report.pid or 0
                self._remember(self.pid)
                self._has_reported.set()
            if report.exit is not None:
                ending = Ending(report.exit, report.asked)
        # The pipe's end is the guard's. Only when it has been waited for are its orphans our children.
        code = await asyncio.to_thread(self._popen.wait)
        if code != 0:
            await asyncio.to_thread(self._kill_inherited)
        assert self._popen.stdin is not None, "started with a pipe"
        self._popen.stdin.close()
        self._record.unlink(missing_ok=True)
        self._has_reported.set()
        return ending or Ending(None, asked=False)

    def _kill_inherited(self) -> None:
        """The guard was killed: ends what it leaves, which is ours now (a worker is a subreaper). Blocks."""
        if not guard.has_proc():
            for who in self._recorded:
                who.send_signal(signal.SIGKILL)
            return
        while strays := guard.descendants(os.getpid(), self._others):
            for pid in strays:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in strays:
                with contextlib.suppress(ChildProcessError):  # still another's child; found again when it is ours
                    os.waitpid(pid, 0)

    def _remember(self, *pids: int) -> None:
        known = {who.pid for who in self._recorded}
        fresh = []
        for pid in pids:
            if pid and pid not in known:
                with contextlib.suppress(ProcessLookupError):
                    fresh.append(ProcessIdentity.of(pid))
        if fresh:
            self._recorded = [who for who in self._recorded if who.alive] + fresh
            try:
                write_json(self._record, self._recorded)
            except OSError as error:  # a full disk must not end an engine that serves
                _log.warning("engine.not_recorded", file=self._record, reason=str(error))


def end_leftovers(record: Path) -> int:
    """Ends what a previous worker of this replica left behind, by recorded identity; how many had to be killed. Blocks.

    A guard that still lives is about to do it: it gets a second.
    """
    recorded = read_json(record, list[ProcessIdentity]) or []
    left = wait_gone(recorded, _LEFTOVER_SECONDS)
    for who in left:
        who.send_signal(signal.SIGKILL)
    wait_gone(left, _LEFTOVER_SECONDS)
    record.unlink(missing_ok=True)
    return len(left)


def _start_guard(launch: Launch, environment: Mapping[str, str], log: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The guard and the read end of its reports."""
    read_fd, write_fd = os.pipe()
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        popen = subprocess.Popen(
            [sys.executable, "-I", guard.__file__, str(write_fd), *launch.argv],
            stdin=subprocess.PIPE,
            stdout=log_fd,
            stderr=log_fd,
            env=dict(environment),
            pass_fds=(write_fd,),
            start_new_session=True,
            bufsize=0,
        )
    except BaseException:
        os.close(read_fd)
        raise
    finally:
        os.close(log_fd)
        os.close(write_fd)
    return popen, read_fd


def _children() -> list[int]:
    return [child.pid for child in psutil.Process().children()]
