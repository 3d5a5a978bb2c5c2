"""Starts a process that outlives its starter: own session, own log file, no pipe and no terminal in common."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from argosy.processes.identity import ProcessIdentity


@dataclass(frozen=True)
class DetachedProcess:
    """A process that this one started. While it is its parent, it can tell how it ended."""

    identity: ProcessIdentity
    _child: subprocess.Popen[bytes] = field(repr=False)

    def how_it_ended(self) -> str | None:
        """`exited with code 1`, `was killed by SIGKILL`; None while it runs. Takes a zombie away."""
        code = self._child.poll()
        if code is None:
            return None
        return f"was killed by {_signal_name(-code)}" if code < 0 else f"exited with code {code}"


def start_detached(
    argv: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str] | None = None
) -> DetachedProcess:
    """Starts argv in a session of its own; its stdout and stderr are appended to `log`. Raises OSError.

    The log is opened by its name and given to the child itself: a pipe would break when the starter dies.
    """
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            cwd=cwd,
            env=None if env is None else dict(env),
            start_new_session=True,
            close_fds=True,
        )
    finally:
        os.close(handle)
    # A child that has ended already is a zombie until it is polled, so its start time can still be read.
    return DetachedProcess(ProcessIdentity.of(child.pid), child)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
