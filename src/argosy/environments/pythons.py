"""Which Python an environment can be made from: this process's own, or one that PATH has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_TELL = "import sys; print('%d.%d' % sys.version_info[:2])"
_SECONDS = 20.0


def find_python(version: str, variables: Mapping[str, str]) -> str | None:
    """`version`: 3.11. A program of that name may be another's stand-in, so it is asked."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    for folder in variables.get("PATH", os.defpath).split(os.pathsep):
        program = Path(folder, f"python{version}")
        if folder and program.is_file() and os.access(program, os.X_OK) and _tells(program) == version:
            return str(program)
    return None


def _tells(program: Path) -> str | None:
    try:
        told = subprocess.run(
            [program, "-I", "-c", _TELL], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return told.stdout.strip()
