"""How far a download is: a value that prints as a phrase."""

from __future__ import annotations

from dataclasses import dataclass

_MB = 1_000_000  # as vendors and package indexes count


@dataclass(frozen=True)
class Progress:
    """`str(progress)` → "downloading smollm2: 34 of 98 MB"."""

    name: str
    done_bytes: int
    total_bytes: int | None
    waiting: bool = False  # another process downloads it; this one waits for that

    def __str__(self) -> str:
        verb = "waiting for another process that downloads" if self.waiting else "downloading"
        done = f"{self.done_bytes // _MB}"
        if self.total_bytes is None:
            return f"{verb} {self.name}: {done} MB"
        return f"{verb} {self.name}: {done} of {round(self.total_bytes / _MB)} MB"
