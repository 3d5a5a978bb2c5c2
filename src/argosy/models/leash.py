"""A child's leash: it dies with who started it, whatever way that died. Nothing goes on downloading for nobody.

The owner holds the other end of the child's standard input. At its end the child kills its process group, which it
must lead.
"""

from __future__ import annotations

import os
import signal
import threading


def die_with_the_owner() -> None:
    """Called once, at the child's start."""
    if os.getpgid(0) != os.getpid():
        raise SystemExit("a child on a leash must lead its own process group: it kills all of it")
    threading.Thread(target=_wait_and_die, daemon=True).start()


def _wait_and_die() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)
