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

_ENDS = b"qQ\x03\x04"  # Ctrl-C and Ctrl-D too, where they come as bytes
_ESCAPE = b"\x1b"  # by itself; an arrow key is Escape and more


@contextlib.contextmanager
def keys_end(done: asyncio.Event) -> Iterator[None]:
    """Inside, q (or Escape), Ctrl-C and SIGTERM set `done`. Call it where the event loop runs; stdin is a terminal."""
    loop, handle = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(handle)

    def read() -> None:
        pressed = os.read(handle, 64)
        if not pressed or pressed == _ESCAPE or any(key in _ENDS for key in pressed):  # nothing: the terminal is gone
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
