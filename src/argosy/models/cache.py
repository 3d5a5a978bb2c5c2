"""The cache of weights under ARGOSY_CACHE/models: one file per content, whole or not there.

models/KEY/FILE           the weights; KEY is of the SHA-256 where it is known, else of the source's text
models/KEY.lock           held (flock) by the one process that fetches them
models/KEY.partial/       what that process has so far; a leftover of a killed one is cleared by the next
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from argosy.errors import SourceError
from argosy.models.progress import Progress

POLL_SECONDS = 0.2  # neither a file lock nor a growing folder can be awaited together with a cancellation
_SPARE_BYTES = 64_000_000
Report = Callable[[Progress], None]
# Puts the file of an artefact into a folder of its own and returns its path there. Raises SourceError.
Fetch = Callable[[Path], Path]


@dataclass(frozen=True)
class Artefact:
    """A file of weights, as far as it is known before it is fetched."""

    name: str  # for people
    file: str
    source: str
    sha256: str | None = None
    size_bytes: int | None = None

    @property
    def key(self) -> str:
        return (self.sha256 or hashlib.sha256(self.source.encode()).hexdigest())[:16]


class ModelCache:
    """Owns a folder. Safe to use from many processes and threads at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, artefact: Artefact) -> Path | None:
        """The file, when it is there: a file gets its name only after it was checked."""
        path = self.root / artefact.key / artefact.file
        try:
            size = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        return path if artefact.size_bytes in (None, size) else None

    def obtain(self, artefact: Artefact, fetch: Fetch, report: Report, cancelled: threading.Event) -> Path:
        """The file, fetched if need be. Of several askers one fetches, the others wait. Raises SourceError."""
        try:
            if found := self.find(artefact):
                return found
            self.root.mkdir(parents=True, exist_ok=True)
            with self._lock(artefact, report, cancelled):
                return self.find(artefact) or self._fetched(artefact, fetch)
        except OSError as error:
            raise SourceError(
                f"cannot keep {artefact.name} in {self.root}: {error.strerror or error}; "
                "make that folder writable or set ARGOSY_CACHE to another"
            ) from error

    def _fetched(self, artefact: Artefact, fetch: Fetch) -> Path:
        """Runs while the lock is held: nobody else touches the partial folder."""
        self._check_space(artefact)
        partial = self._partial(artefact)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            file = fetch(partial)
            _check(artefact, file)
            final = self.root / artefact.key / artefact.file
            final.parent.mkdir(exist_ok=True)
            file.replace(final)
            return final
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _check_space(self, artefact: Artefact) -> None:
        if artefact.size_bytes is None:
            return
        need = 2 * artefact.size_bytes + _SPARE_BYTES  # the package and the file taken from it, for a moment
        free = shutil.disk_usage(self.root).free
        if free < need:
            raise SourceError(
                f"{artefact.name} needs {need // 1_000_000} MB in {self.root}, {free // 1_000_000} MB are free; "
                "make room or set ARGOSY_CACHE to another folder"
            )

    @contextlib.contextmanager
    def _lock(self, artefact: Artefact, report: Report, cancelled: threading.Event) -> Iterator[None]:
        # The lock file stays: removing it would let two processes hold locks on two files of the same name.
        handle = os.open(self.root / f"{artefact.key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _try_lock(handle):
                done = folder_bytes(self._partial(artefact))
                done = done if artefact.size_bytes is None else min(done, artefact.size_bytes)
                report(Progress(artefact.name, done, artefact.size_bytes, waiting=True))
                if cancelled.wait(POLL_SECONDS):
                    raise SourceError(f"waiting for {artefact.name} was cancelled")
            yield
        finally:
            os.close(handle)

    def _partial(self, artefact: Artefact) -> Path:
        return self.root / f"{artefact.key}.partial"


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check(artefact: Artefact, file: Path) -> None:
    size = file.stat().st_size
    if artefact.size_bytes not in (None, size):
        raise SourceError(f"{artefact.name} has {size} bytes, expected {artefact.size_bytes}; nothing was kept")
    if artefact.sha256 is None:
        return
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != artefact.sha256:
        raise SourceError(f"{artefact.name} has SHA-256 {found}, expected {artefact.sha256}; nothing was kept")


def folder_bytes(folder: Path) -> int:
    """What the files in a folder hold together, while another process writes and moves them."""
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(root) / file).stat().st_size
    return total
