"""The guard: a process between a worker and its engine that leaves nothing of the engine behind, whoever dies how.

Started as a script, `python -I guard.py REPORT_FD ARGV…`, with the worker's pipe as stdin and the engine's log as
stdout and stderr. It stands alone: the standard library only (psutil where there is no /proc), and nothing of Argosy.

    stdin      `stop SECONDS` a line: TERM to the whole tree, KILL to what is left after so many seconds.
               The end of the pipe says that the worker is dead: TERM, and KILL 0.3 s later.
    REPORT_FD  JSON lines: {"pid": 7} · {"error": "…", "errno": 2} · {"exit": -9, "asked": false} · {"gone": true}
    SIGTERM, SIGINT, SIGHUP   as `stop 5`

An engine that ends by itself takes the rest of its tree with it. The guard ends when no child is left.

Why a process of its own: PDEATHSIG reaches only the direct child, and a session's group signal misses what calls
setsid. A child subreaper (Linux) keeps every orphan below itself, so "my descendants" is the whole tree, and ECHILD is
the proof that it is gone. Where there is no subreaper, the tree is recorded while it lives.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    import psutil

ORPHANED_GRACE_SECONDS = 0.3  # everything must be gone a second after the worker's death
SIGNALLED_GRACE_SECONDS = 5.0
_KILL_AGAIN_SECONDS = 0.02  # what forked between the look and the KILL is found by the next look
_RECORD_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> bool:
    """Orphans among this process's descendants become its children. False where the system knows no such thing."""
    if not has_proc():
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def has_proc() -> bool:
    return sys.platform.startswith("linux")


def descendants(root: int, without: frozenset[int] = frozenset()) -> list[int]:
    """Every process below `root`, from /proc, parents before their children; `without` these and what is below them."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - scandir and Path cost more, and this runs in a hurry
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = Path("/proc", entry, "stat").read_bytes()
                # The name in parentheses may hold anything: count from its end.
                parent = int(stat[stat.rindex(b")") + 2 :].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found = [root]
    for pid in found:
        found += [child for child in children.get(pid, []) if child not in without]
    return found[1:]


class Tree(Protocol):
    """The engine and all that came of it."""

    def record(self) -> None:
        """Looks at what lives now."""
        ...

    def send(self, number: signal.Signals) -> None: ...

    def gone(self) -> bool:
        """Asked when this process has no child left."""
        ...


class ReapedTree:
    """Linux: all are descendants of this subreaper."""

    def record(self) -> None:
        pass

    def send(self, number: signal.Signals) -> None:
        # No pid here can have gone to a stranger: a descendant keeps its pid until this process has reaped it, or
        # its own parent in the tree has, which is a race of microseconds.
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def gone(self) -> bool:
        return True


class RecordedTree:
    """Elsewhere: an orphan moves to init, so every descendant is recorded (with its start time) while it has parents.

    One that is born and orphaned between two looks is missed; Linux has no such gap.
    """

    def __init__(self, root: int) -> None:
        import psutil  # noqa: PLC0415 - only where there is no /proc, and quick to start elsewhere

        self._psutil = psutil
        self._root = psutil.Process(root)
        self._known: dict[int, psutil.Process] = {}

    def record(self) -> None:
        for process in [self._root, *self._known.values()]:
            with contextlib.suppress(self._psutil.Error):
                for child in process.children(recursive=True):
                    self._known.setdefault(child.pid, child)

    def send(self, number: signal.Signals) -> None:
        self.record()
        for process in self._living():
            with contextlib.suppress(self._psutil.Error):
                process.send_signal(number)  # psutil checks the start time first

    def gone(self) -> bool:
        return not self._living()

    def _living(self) -> list[psutil.Process]:
        return [process for process in self._known.values() if self._lives(process)]

    def _lives(self, process: psutil.Process) -> bool:
        with contextlib.suppress(self._psutil.Error):
            return bool(process.is_running() and process.status() != self._psutil.STATUS_ZOMBIE)
        return False


class Guard:
    """Starts one engine and stays until nothing of it is left."""

    def __init__(self, tree: Tree, report_fd: int) -> None:
        self._tree = tree
        self._report_fd = report_fd
        self._engine = 0
        self._commands = b""
        self._owner_lives = True
        self._kill_at: float | None = None  # set once the tree is being stopped
        self._asked = False  # whether the engine's end was our doing

    def run(self, argv: list[str]) -> None:
        wakeup_fd = _signals_as_bytes()
        if not self._start(argv):
            return
        while self._reap():
            ready, _, _ = select.select([0, wakeup_fd] if self._owner_lives else [wakeup_fd], [], [], self._patience())
            if wakeup_fd in ready:
                numbers = os.read(wakeup_fd, 512)
                if {signal.SIGTERM, signal.SIGINT, signal.SIGHUP} & set(numbers):
                    self._stop(SIGNALLED_GRACE_SECONDS, asked=True)
            if 0 in ready:
                self._read_commands()
            self._tree.record()
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._tree.send(signal.SIGKILL)
        self._report({"gone": True})

    def _start(self, argv: list[str]) -> bool:
        """Forks the engine. A failed exec comes back through a pipe that a good one closes."""
        failure_read, failure_write = os.pipe()
        # Loaded before the fork: nothing should be opened between fork and exec.
        prctl = ctypes.CDLL(None).prctl if has_proc() else None
        guard = os.getpid()
        self._engine = os.fork()
        if self._engine == 0:
            try:
                _become_engine(argv, guard, prctl)
            except OSError as error:
                os.write(failure_write, json.dumps({"error": str(error), "errno": error.errno}).encode())
            finally:
                os._exit(127)
        os.close(failure_write)
        failure = os.read(failure_read, 4096)
        os.close(failure_read)
        if failure:
            os.waitpid(self._engine, 0)
            self._report(json.loads(failure))
            return False
        self._report({"pid": self._engine})
        return True

    def _reap(self) -> bool:
        """Buries the dead; whether anything is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return not self._tree.gone()
            if pid == 0:
                return True
            if pid == self._engine:
                self._report({"exit": os.waitstatus_to_exitcode(status), "asked": self._asked})
                self._stop(ORPHANED_GRACE_SECONDS, asked=False)

    def _stop(self, grace_seconds: float, *, asked: bool) -> None:
        """A second call can only shorten the wait."""
        self._asked = self._asked or asked
        first = self._kill_at is None
        kill_at = time.monotonic() + grace_seconds
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)
        if first:
            self._tree.send(signal.SIGTERM)

    def _patience(self) -> float | None:
        """Seconds to wait for a signal or a command."""
        if self._kill_at is None:
            return None if isinstance(self._tree, ReapedTree) else _RECORD_SECONDS
        return max(_KILL_AGAIN_SECONDS, self._kill_at - time.monotonic())

    def _read_commands(self) -> None:
        data = os.read(0, 4096)
        if not data:
            self._owner_lives = False
            self._stop(ORPHANED_GRACE_SECONDS, asked=True)
            return
        *lines, self._commands = (self._commands + data).split(b"\n")
        for line in lines:
            verb, _, seconds = line.partition(b" ")
            if verb == b"stop":
                self._stop(float(seconds), asked=True)

    def _report(self, message: dict[str, object]) -> None:
        with contextlib.suppress(OSError):  # the worker may be dead: then nobody needs to know
            os.write(self._report_fd, json.dumps(message).encode() + b"\n")


def _become_engine(argv: list[str], guard: int, prctl: ctypes._NamedFuncPointer | None) -> NoReturn:
    """In the child. Raises OSError when the program cannot be run."""
    os.setsid()  # so that an engine that signals its own group does not hit the guard
    if prctl is not None:
        # The guard itself can be killed. Its death signal is that of this thread, the main one, which lives as long.
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:
            os._exit(127)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores the last two, and a shell's `&` the first
    os.execvp(argv[0], argv)  # noqa: S606 - this is where the engine starts


def _signals_as_bytes() -> int:
    """A file descriptor that yields the number of every signal that arrives."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return read_fd


def main() -> None:
    report_fd = int(sys.argv[1])
    os.set_inheritable(report_fd, False)  # noqa: FBT003
    if os.getpid() != os.getsid(0):
        with contextlib.suppress(PermissionError):
            os.setsid()
    reaped = become_subreaper()
    Guard(ReapedTree() if reaped else RecordedTree(os.getpid()), report_fd).run(sys.argv[2:])


if __name__ == "__main__":
    main()
