"""What every way to fetch shares, in the child that does it: the files one by one, each whole and checked or not there.

A file gets its name only when its size and checksum are right; until then it is NAME.VERSION.part, and a later run goes
on from there.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import msgspec

from argosy.errors import SourceError
from argosy.models.selection import RepoFile, Selection
from argosy.models.sources import is_inside

SPARE_BYTES = 64_000_000  # a full disk hurts more than us


class StoredFile(msgspec.Struct, frozen=True):
    """A file of weights as it was checked."""

    path: str
    size_bytes: int
    sha256: str | None = None


class Plan(msgspec.Struct, frozen=True, tag="plan"):
    """How much there is to fetch; what is there already counts."""

    total_bytes: int | None


class Fetched(msgspec.Struct, frozen=True, tag="fetched"):
    """The end of a fetch. `entry`: the file an engine opens, "" for the folder."""

    entry: str
    files: list[StoredFile]
    origin: str | None = None  # where it came from, of several sources


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """`discard`: what is half there is of no use for a later run."""

    message: str
    permanent: bool = False
    discard: bool = False


class DiskFullError(SourceError):
    """The disk has no room; what was half fetched goes, so that others have some."""


Tell = Callable[[Plan], None]
# Puts a file's bytes at the path, going on from what is there. Raises SourceError.
Get = Callable[[RepoFile, Path], None]


def fetch_all(selection: Selection, folder: Path, get: Get, tell: Tell) -> Fetched:
    """Puts the files below `folder`. Raises SourceError."""
    sizes = [file.size_bytes for file in selection.files]
    known = sum(size or 0 for size in sizes)
    check_room(known, folder)
    tell(Plan(None if None in sizes else known))
    stored = [_fetched(file, folder, get) for file in selection.files]
    return Fetched(selection.entry, stored)


def check_room(size_bytes: int, folder: Path) -> None:
    """What is half there already needs no more. Raises DiskFullError."""
    there = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    need, free = size_bytes - there + SPARE_BYTES, shutil.disk_usage(folder).free
    if size_bytes and need > free:
        raise DiskFullError(
            f"{need // 1_000_000} MB are needed in {folder.parent.parent}, {free // 1_000_000} MB are free; "
            "make room (`argosy models` shows what lies there) or set ARGOSY_CACHE to another folder"
        )


def writing(path: Path, error: OSError) -> SourceError:
    """The sentence for a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"the disk with {path.parent} is full; nothing was kept. Make room (`argosy models` shows what lies there, "
            "`argosy rm` removes it) or set ARGOSY_CACHE to another folder"
        )
    return SourceError(f"cannot write {path}: {error.strerror or error}")


def sha256_of(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _fetched(file: RepoFile, folder: Path, get: Get) -> StoredFile:
    if not is_inside(file.path) or PurePosixPath(file.path).is_absolute():
        raise SourceError(f"the hub names a file {file.path!r}, which leads out of its folder", permanent=True)
    target = folder / file.path
    if target.is_file():  # an earlier run got so far
        return StoredFile(file.path, target.stat().st_size, file.sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{(file.sha256 or file.version)[:12] or 'any'}.part")
    get(file, part)
    size = part.stat().st_size
    if file.size_bytes not in (None, size):
        part.unlink()
        raise SourceError(f"{file.path} has {size} bytes, expected {file.size_bytes}; it was not kept, try again")
    if file.sha256 is not None and (found := sha256_of(part)) != file.sha256:
        part.unlink()
        raise SourceError(
            f"{file.path} has SHA-256 {found}, expected {file.sha256}; it was not kept. It was changed on its way, or "
            "the checksum is of another file"
        )
    with part.open("rb") as content:
        os.fsync(content.fileno())  # a file that has its name must survive a power cut whole
    part.replace(target)
    return StoredFile(file.path, size, file.sha256)
