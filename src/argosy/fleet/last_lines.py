"""The end of a log file, for the reason of a failure. Reads; owns nothing."""

from __future__ import annotations

from pathlib import Path

_BYTES = 16 * 1024


def last_lines(log: Path, count: int = 5) -> str:
    """The last lines that are not blank, or "" where there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join([line for line in lines if line.strip()][-count:])
