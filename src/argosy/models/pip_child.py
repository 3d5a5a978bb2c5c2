"""pip on a leash: `python -m argosy.models.pip_child TEMPORARY ARGUMENTS…` runs pip and dies with who started it.

The owner holds the other end of standard input. At its end, whatever way the owner died, pip and all it started are
killed: nothing goes on downloading for nobody. Large files grow in TEMPORARY, where the owner counts their bytes.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import tempfile
import threading


def _die_with_the_owner() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main() -> None:
    tempfile.tempdir = sys.argv.pop(1)
    if os.getpgid(0) != os.getpid():
        raise SystemExit("argosy.models.pip_child must lead its own process group: it kills all of it")
    threading.Thread(target=_die_with_the_owner, daemon=True).start()
    sys.argv[0] = "pip"
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
