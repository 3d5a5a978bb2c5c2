"""A program with a difficult family, an engine's stand-in: `family.py FIFO`. Every member tells its pid to the FIFO.

A child, a child in a session of its own, a daemon that was forked twice and left its session, and one that is deaf to
SIGTERM. All wait for a signal that never comes. `family.py FIFO leave` ends itself (code 3) once the others live.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

MEMBERS = ("engine", "child", "session", "daemon", "deaf")


def tell(fifo: str, role: str) -> None:
    with Path(fifo).open("w") as file:
        file.write(f"{role} {os.getpid()}\n")


def fork(body: Callable[[], None]) -> None:
    if os.fork() == 0:
        body()
        while True:
            signal.pause()


def main() -> None:
    fifo = sys.argv[1]

    def session() -> None:
        os.setsid()
        tell(fifo, "session")

    def daemon() -> None:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        tell(fifo, "daemon")

    def deaf() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.setsid()
        tell(fifo, "deaf")

    fork(lambda: tell(fifo, "child"))
    fork(session)
    fork(daemon)
    fork(deaf)
    tell(fifo, "engine")
    if "leave" in sys.argv:
        sys.exit(3)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
