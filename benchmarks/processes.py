"""Processes under measurement: started on a core of their own, their CPU time and memory read, ended for certain."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import psutil

SECONDS_TO_END = 8.0


class Processes:
    """Those of one run. Each gets a session of its own; leaving the `with` ends all of them."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(
        self, name: str, argv: Sequence[str], *, core: int, env: Mapping[str, str] | None = None, talks: bool = False
    ) -> subprocess.Popen[str]:
        """`talks`: its stdin and stdout are ours, its errors are shown; else all that it says goes into its log."""
        with self.log(name).open("wb") as log, pinned(core):
            process = subprocess.Popen(
                argv,
                env={**os.environ, **(env or {})},
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else log,
                stderr=None if talks else log,
                start_new_session=True,
                text=True,
            )
        self._running.append(process)
        return process

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def two_cores() -> tuple[int, int]:
    """One for load and engines, one for gateways."""
    if not hasattr(os, "sched_getaffinity"):
        sys.exit("this benchmark pins processes to cores and reads /proc: it runs on Linux only")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("this benchmark needs two cores: one for the load, one for the gateways")
    return cores[0], cores[1]


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started within runs on this core from its first instruction: thread pools are sized by what they see."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_nanoseconds(pid: int) -> int:
    """CPU time of a process and all below it so far, all threads, as the scheduler counts it."""
    root = psutil.Process(pid)
    return sum(_own_nanoseconds(each.pid) for each in [root, *root.children(recursive=True)])


def _own_nanoseconds(pid: int) -> int:
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            total += int(task.read_text().split()[0])
    return total


def pss_mebibytes(pid: int) -> float:
    """Memory of a process, its share of what it shares."""
    return float(psutil.Process(pid).memory_full_info().pss) / 2**20


def first_line(process: subprocess.Popen[str]) -> str:
    """What a process says first. Ends the run when it says nothing."""
    line = _stream(process.stdout).readline()
    return line or sys.exit(f"{process.args!r} ended without a word")


def say(process: subprocess.Popen[str], line: str) -> str:
    """One line to it, one line back."""
    stdin = _stream(process.stdin)
    stdin.write(f"{line}\n")
    stdin.flush()
    return first_line(process)


def _stream(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
