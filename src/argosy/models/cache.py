"""The cache of weights under ARGOSY_CACHE/models: one folder per source, whole or not there.

models/KEY/               the weights; KEY is of the SHA-256 where it is known, else of the source's text
models/KEY.json           what lies there: the files with their sizes; its time is when they were used last
models/KEY.lock           held (flock) by the one process that fetches or removes them
models/KEY.partial/       what that process has so far; the next one goes on from it where the source lets it
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from argosy.disk import POLL_SECONDS, folder_bytes, opened_lock, try_lock
from argosy.errors import SourceError
from argosy.models.fetching import SPARE_BYTES, Fetched, StoredFile, sha256_of
from argosy.models.progress import Progress
from argosy.state import read_json, write_json

Report = Callable[[Progress], None]
# Given a folder of its own, returns the folder below it that has the files, and what they are. Raises SourceError.
Fetch = Callable[[Path], tuple[Path, Fetched]]


@dataclass(frozen=True)
class Artefact:
    """Weights, as far as they are known before they are fetched."""

    name: str  # for people
    source: str
    file: str | None = None  # what a single file is to be called; None: as its source calls it
    sha256: str | None = None
    size_bytes: int | None = None

    @property
    def key(self) -> str:
        return (self.sha256 or hashlib.sha256(self.source.encode()).hexdigest())[:16]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What lies under a key. `entry`: the file an engine opens, "" for the folder."""

    name: str
    source: str
    entry: str
    files: list[StoredFile]
    fetched: float  # Unix seconds


@dataclass(frozen=True)
class CacheEntry:
    """For people: what a key costs. `record` is None for what is half fetched."""

    key: str
    record: Record | None
    size_bytes: int
    used: float  # Unix seconds


class ModelCache:
    """Owns a folder. Safe to use from many processes and threads at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, artefact: Artefact, *, verify: bool = False) -> Path | None:
        """Where it is, when it is there whole. `verify`: reads it all, where the checksum is known."""
        folder = self.root / artefact.key
        record = read_json(self._record(artefact.key), Record)
        if record is None:
            return None
        for file in record.files:
            path = folder / file.path
            try:
                if path.stat().st_size != file.size_bytes or (verify and file.sha256 not in (None, sha256_of(path))):
                    return None
            except (FileNotFoundError, NotADirectoryError):
                return None
        with contextlib.suppress(OSError):  # a cache that is only read
            os.utime(self._record(artefact.key))
        return folder / record.entry if record.entry else folder

    def obtain(
        self, artefact: Artefact, fetch: Fetch, report: Report, cancelled: threading.Event, *, verify: bool = False
    ) -> Path:
        """Its path, fetched if need be. Of several askers one fetches, the others wait. Raises SourceError."""
        try:
            if found := self.find(artefact, verify=verify):
                return found
            self.root.mkdir(parents=True, exist_ok=True)
            with self._lock(artefact, report, cancelled):
                return self.find(artefact, verify=verify) or self._fetched(artefact, fetch)
        except OSError as error:
            raise SourceError(
                f"cannot keep {artefact.name} in {self.root}: {error.strerror or error}; "
                "make that folder writable or set ARGOSY_CACHE to another"
            ) from error

    def entries(self) -> list[CacheEntry]:
        """All that lies there, the latest used first. Raises OSError."""
        keys = {path.name.split(".")[0] for path in self.root.iterdir()} if self.root.is_dir() else set()
        found = []
        for key in keys:
            record, size = read_json(self._record(key), Record), folder_bytes(self.root / key)
            if record is not None and size:
                found.append(CacheEntry(key, record, size, _time_of(self._record(key))))
            left = folder_bytes(self._partial(key)) + (size if record is None else 0)
            if left:
                half = self._partial(key) if self._partial(key).exists() else self.root / key
                found.append(CacheEntry(key, None, left, _time_of(half)))
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def remove(self, key: str) -> int:
        """Bytes that are free now, of what is whole and of what is half fetched. Raises SourceError, OSError."""
        with opened_lock(self.root / f"{key}.lock") as handle:
            if not try_lock(handle):
                raise SourceError("another process is fetching it; stop that one first")
            folders = (self.root / key, self._partial(key))
            freed = sum(map(folder_bytes, folders))
            self._record(key).unlink(missing_ok=True)
            for folder in folders:
                if folder.exists():
                    shutil.rmtree(folder)
            return freed

    def _fetched(self, artefact: Artefact, fetch: Fetch) -> Path:
        """Runs while the lock is held: nobody else touches the partial folder."""
        partial = self._partial(artefact.key)
        self._check_space(artefact)
        partial.mkdir(exist_ok=True)
        try:
            folder, fetched = fetch(partial)
            try:
                record = _checked(artefact, folder, fetched)
            except SourceError:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            path = self._keep(artefact, folder, record)
            shutil.rmtree(partial, ignore_errors=True)
            return path
        finally:
            if not folder_bytes(partial):  # nothing to go on from
                shutil.rmtree(partial, ignore_errors=True)

    def _keep(self, artefact: Artefact, folder: Path, record: Record) -> Path:
        """The record goes first and comes last: what has one is whole."""
        final = self.root / artefact.key
        self._record(artefact.key).unlink(missing_ok=True)
        if final.is_dir():  # damaged
            shutil.rmtree(final)
        else:
            final.unlink(missing_ok=True)
        folder.replace(final)
        write_json(self._record(artefact.key), record)
        return final / record.entry if record.entry else final

    def _check_space(self, artefact: Artefact) -> None:
        if artefact.size_bytes is None:
            return
        need = artefact.size_bytes - folder_bytes(self._partial(artefact.key)) + SPARE_BYTES
        free = shutil.disk_usage(self.root).free
        if free < need:
            raise SourceError(
                f"{artefact.name} needs {need // 1_000_000} MB in {self.root}, {free // 1_000_000} MB are free; "
                "make room or set ARGOSY_CACHE to another folder"
            )

    @contextlib.contextmanager
    def _lock(self, artefact: Artefact, report: Report, cancelled: threading.Event) -> Iterator[None]:
        with opened_lock(self.root / f"{artefact.key}.lock") as handle:
            while not try_lock(handle):
                done = folder_bytes(self._partial(artefact.key))
                done = done if artefact.size_bytes is None else min(done, artefact.size_bytes)
                report(Progress(artefact.name, done, artefact.size_bytes, waiting=True))
                if cancelled.wait(POLL_SECONDS):
                    raise SourceError(f"waiting for {artefact.name} was cancelled")
            yield

    def _record(self, key: str) -> Path:
        return self.root / f"{key}.json"

    def _partial(self, key: str) -> Path:
        return self.root / f"{key}.partial"


def _checked(artefact: Artefact, folder: Path, fetched: Fetched) -> Record:
    """Leaves nothing in the folder but what was fetched and is right. Raises SourceError."""
    files, entry = fetched.files, fetched.entry
    if artefact.sha256 is not None:
        [file] = files
        if artefact.size_bytes not in (None, file.size_bytes):
            raise SourceError(
                f"{artefact.name} has {file.size_bytes} bytes, expected {artefact.size_bytes}; nothing was kept"
            )
        found = file.sha256 or sha256_of(folder / file.path)
        if found != artefact.sha256:
            raise SourceError(f"{artefact.name} has SHA-256 {found}, expected {artefact.sha256}; nothing was kept")
        files = [StoredFile(file.path, file.size_bytes, found)]
    wanted = {folder / file.path for file in files}
    for path in list(folder.rglob("*")):
        if path.is_file() and path not in wanted:
            path.unlink()
    if artefact.file is not None and len(files) == 1:
        (folder / files[0].path).replace(folder / artefact.file)
        files, entry = [StoredFile(artefact.file, files[0].size_bytes, files[0].sha256)], artefact.file
    source = fetched.origin or artefact.source
    return Record(name=artefact.name, source=source, entry=entry, files=files, fetched=time.time())


def _time_of(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0
