"""A child's leash: it dies with who started it, whatever way that died. Nothing goes on downloading for nobody.

The owner holds the other end of the child's standard input. At its end the child kills its process group, which it
must lead. `python -m argosy.processes.leash ARGV…` puts any program on one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO


def die_with_the_owner() -> None:
    """Called once, at the child's start."""
    if os.getpgid(0) != os.getpid():
        raise SystemExit("a child on a leash must lead its own process group: it kills all of it")
    threading.Thread(target=_wait_and_die, daemon=True).start()


@contextlib.contextmanager
def leashed(
    argv: Sequence[str],
    *,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
    env: Mapping[str, str] | None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A child that calls `die_with_the_owner`; at the end of the block its whole group is gone, whatever happened."""
    child = subprocess.Popen(
        list(argv), stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, env=env, cwd=cwd, process_group=0
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()


def on_a_leash(argv: Sequence[str]) -> list[str]:
    """The command line that puts a program on a leash."""
    return [sys.executable, "-P", "-m", "argosy.processes.leash", *argv]


def _wait_and_die() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main() -> int:
    die_with_the_owner()
    try:
        return subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, check=False).returncode
    except OSError as error:
        print(f"{sys.argv[1]} cannot be started: {error.strerror or error}", flush=True)  # noqa: T201
        return 127


if __name__ == "__main__":
    sys.exit(main())
