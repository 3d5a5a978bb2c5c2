"""A command in a terminal of its own, as a person sees it: by the standard library's pseudo-terminals."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator

from command import Argosy


class Terminal:
    """`seen`: everything that was written to it so far."""

    def __init__(self, handle: int, process: subprocess.Popen[bytes]) -> None:
        self._handle = handle
        self.process = process
        self.seen = ""

    def press(self, keys: str) -> None:
        os.write(self._handle, keys.encode())

    def shows(self, text: str, seconds: float = 15.0) -> None:
        """Until it has been written, from now on."""
        self.seen = ""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            self._read(deadline, f"{text!r} in {self.seen[-500:]!r}")

    def ends(self, seconds: float = 15.0) -> int:
        """Reads to the end; the exit code."""
        deadline = time.monotonic() + seconds
        while self._read(deadline, "its end"):
            pass
        return self.process.wait(5)

    def _read(self, deadline: float, what: str) -> bool:
        ready, _, _ = select.select([self._handle], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"not in time: {what}"
        try:
            data = os.read(self._handle, 65536)
        except OSError:  # Linux: the other side is closed
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)


@contextlib.contextmanager
def terminal(argosy: Argosy, *words: str, columns: int = 120, lines: int = 30) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    env = {name: value for name, value in argosy.env().items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        argosy.argv(*words),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**env, "TERM": "xterm"},
        cwd=argosy.folder,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - so that Ctrl-C reaches it
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(ours)
