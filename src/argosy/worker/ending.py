"""How an engine ended, as a sentence for a person, with the last lines it wrote. Reads the log; decides nothing."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from argosy.errors import EngineError
from argosy.telemetry.logging import is_event_line

_LAST_LINES = 4
_LINE_CHARACTERS = 300
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True)
class Ending:
    """`code` as subprocess counts (-9: SIGKILL); None when the guard was killed and nobody saw the engine's end."""

    code: int | None
    asked: bool  # we stopped it

    def sentence(self, replica: str, *, was_ready: bool, last_lines: list[str]) -> str:
        when = "" if was_ready else " before it was ready"
        if self.code is None:
            return f"{replica}: the guard of its engine was killed{when}, so the engine was ended too"
        if self.code < 0:
            how = f"was killed by {_signal_name(-self.code)}{when}"
            if self.code == -signal.SIGKILL and not self.asked:
                how += ", not by Argosy: probably by the kernel for want of memory"
        else:
            how = f"exited with code {self.code}{when}"
        said = f" Last lines: {' | '.join(last_lines)}" if last_lines else " It wrote nothing."
        return f"{replica} {how}.{said} (argosy logs {replica})"


@dataclass(frozen=True)
class LogMark:
    """A place in a log file: where an engine began to write."""

    path: Path
    offset: int

    @classmethod
    def at_end_of(cls, path: Path) -> LogMark:
        try:
            return cls(path, path.stat().st_size)
        except FileNotFoundError:
            return cls(path, 0)

    def last_lines(self) -> list[str]:
        """The last lines since, without those that Argosy itself wrote into the file."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                start = self.offset if self.offset <= size else 0  # truncated by rotation since
                file.seek(max(start, size - _TAIL_BYTES))
                text = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        lines = [line.strip() for line in text.splitlines() if line.strip() and not is_event_line(line)]
        return [line[:_LINE_CHARACTERS] for line in lines[-_LAST_LINES:]]


def not_started(argv0: str, number: int, message: str) -> EngineError:
    """The error for a program that could not even be executed: trying again does not help."""
    if number == errno.ENOENT:
        message = "there is no such program (is it installed, and on the PATH of the shell that started the fleet?)"
    return EngineError(f"cannot start {argv0!r}: {message}", permanent=True)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
