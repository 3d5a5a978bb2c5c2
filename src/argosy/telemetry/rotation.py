"""A log file that several processes append to, kept small by copying and truncating it. Owns NAME.log and NAME.log.1 ….

Renaming would not do: a worker and its engine hold the same file open for as long as they live, and go on writing into
the renamed one. All of them append (O_APPEND), so after the truncation they write at the new end.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from argosy.telemetry.logging import EventLog

LIMIT_BYTES = 10 * 1024 * 1024
OLD_FILES = 3
LOOK_SECONDS = 10.0

_log = EventLog("telemetry")


@dataclass(frozen=True)
class RotatingLog:
    path: Path
    limit_bytes: int = LIMIT_BYTES
    old_files: int = OLD_FILES

    def rotate_if_large(self) -> bool:
        """Whether it was. What is written between the end of the copy and the truncation is lost: a few lines."""
        try:
            if self.path.stat().st_size <= self.limit_bytes:
                return False
        except FileNotFoundError:
            return False
        for number in range(self.old_files - 1, 0, -1):
            if (older := self._old(number)).exists():
                older.replace(self._old(number + 1))
        copy = self.path.with_name(f".{self.path.name}.copy")
        # builtin open: Path.open has no opener
        with self.path.open("rb") as source, open(copy, "wb", opener=_private) as target:
            shutil.copyfileobj(source, target)
        copy.replace(self._old(1))
        os.truncate(self.path, 0)
        return True

    async def keep_small(self, look_seconds: float = LOOK_SECONDS) -> None:
        """Looks at the size again and again, until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.rotate_if_large)
            except OSError as error:  # a full disk: what serves goes on serving
                _log.warning("log.not_rotated", file=self.path, reason=str(error))
            await asyncio.sleep(look_seconds)  # growth of a file is no event that could be awaited

    def _old(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
