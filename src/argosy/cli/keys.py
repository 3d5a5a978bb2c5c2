"""Keys of a terminal as an event, while something is drawn in it. Puts the terminal back as it was."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator

_ENDS = (b"q", b"Q", b"\x1b", b"\x03", b"\x04")  # q, Escape, Ctrl-C and Ctrl-D as bytes


@contextlib.contextmanager
def keys_end(done: asyncio.Event) -> Iterator[None]:
    """Inside, q (or Escape), Ctrl-C and SIGTERM set `done`. Call it where the event loop runs; stdin is a terminal."""
    loop, handle = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(handle)

    def read() -> None:
        pressed = os.read(handle, 64)
        # An arrow key is Escape and more; the end of the terminal is nothing at all.
        if not pressed or pressed in _ENDS:
            done.set()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    tty.setcbreak(handle)  # single keys, without their echo; Ctrl-C stays a signal
    try:
        for number in signals:
            loop.add_signal_handler(number, done.set)
        loop.add_reader(handle, read)
        yield
    finally:
        loop.remove_reader(handle)
        for number in signals:
            loop.remove_signal_handler(number)
        termios.tcsetattr(handle, termios.TCSADRAIN, before)
