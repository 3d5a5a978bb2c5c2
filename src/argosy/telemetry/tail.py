"""Parts of a log file: its last lines, and what was appended since. Reads; a file that is not there is an empty one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_FIRST_LOOK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Part:
    data: bytes
    end: int  # its end in the file: where the next part begins


def last_lines(file: Path, count: int, *, most_bytes: int) -> Part:
    """The last lines, and behind them what is there of one that has no end yet. Fewer where they are too long."""
    try:
        with file.open("rb") as opened:
            end = opened.seek(0, os.SEEK_END)
            look = min(_FIRST_LOOK_BYTES, most_bytes)
            while True:
                start = max(0, end - look)
                opened.seek(start)
                *whole, rest = opened.read(end - start).split(b"\n")
                if start > 0 and whole:
                    del whole[0]  # it may have begun before
                if start == 0 or len(whole) >= count or look == most_bytes:
                    kept = whole[-count:] if count else []
                    return Part(b"\n".join([*kept, rest]), end)
                look = min(2 * look, most_bytes)
    except FileNotFoundError:
        return Part(b"", 0)


def since(file: Path, offset: int, *, most_bytes: int) -> Part:
    """What was appended after `offset`; all that is there, where the file has become shorter: it was rotated."""
    try:
        with file.open("rb") as opened:
            start = offset if offset <= opened.seek(0, os.SEEK_END) else 0
            opened.seek(start)
            data = opened.read(most_bytes)
    except FileNotFoundError:
        return Part(b"", 0)
    return Part(data, start + len(data))
