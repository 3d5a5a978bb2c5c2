"""A command in a terminal of its own, as a person sees it: a pseudo-terminal, and pyte for what its screen shows."""

from __future__ import annotations

import codecs
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
from collections.abc import Callable, Iterator

import pyte

from command import Argosy


class Terminal:
    """`seen`: everything that was written to it so far."""

    def __init__(self, handle: int, process: subprocess.Popen[bytes], *, columns: int, lines: int) -> None:
        self._handle = handle
        self.process = process
        self.seen = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._screen = pyte.HistoryScreen(columns, lines, history=10_000, ratio=1.0)
        self._screen.write_process_input = self.press  # it answers when it is asked where the cursor is
        self._stream = pyte.Stream(self._screen)

    @property
    def screen(self) -> list[str]:
        """The lines that are shown now, without those that are empty at the end."""
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def scrolled(self) -> list[str]:
        """All lines, with those that have left the screen at its top."""
        above = self._screen.history.top
        width = self._screen.columns
        return ["".join(line[at].data for at in range(width)).rstrip() for line in above] + self.screen

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._handle, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._screen.resize(lines, columns)

    def press(self, keys: str) -> None:
        os.write(self._handle, keys.encode())

    def shows(self, text: str, seconds: float = 15.0) -> None:
        """Until it has been written, from now on."""
        self.seen = ""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            self._read(deadline, f"{text!r} in {self.seen[-500:]!r}")

    def stands(self, look: Callable[[list[str]], bool], what: str, seconds: float = 15.0) -> None:
        """Until the lines of the screen are so."""
        deadline = time.monotonic() + seconds
        while not look(self.screen):
            self._read(deadline, "\n".join([f"{what} on a screen of", *self.screen]))

    def prompts(self, seconds: float = 15.0) -> None:
        """Until the last line of the screen is an empty prompt."""
        self.stands(lambda lines: bool(lines) and lines[-1] == ">", "a prompt", seconds)

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
        text = self._decoder.decode(data)
        self.seen += text
        self._stream.feed(text)
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
        yield Terminal(ours, process, columns=columns, lines=lines)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(ours)
