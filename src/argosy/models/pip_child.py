"""pip on a leash: `python -m argosy.models.pip_child TEMPORARY ARGUMENTS…` runs pip and dies with who started it.

Large files grow in TEMPORARY, where the owner counts their bytes.
"""

from __future__ import annotations

import runpy
import sys
import tempfile

from argosy.processes.leash import die_with_the_owner


def main() -> None:
    tempfile.tempdir = sys.argv.pop(1)
    die_with_the_owner()
    sys.argv[0] = "pip"
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
