"""The cache of environments under ARGOSY_CACHE/environments: one folder per recipe, whole or not there.

environments/KEY/         the environment; KEY is of its recipe, the Python's version and this kind of machine
environments/KEY.json     what is in it: written last, so what has one is whole; its time is when it was used last
environments/KEY.log      what pip or uv said while it was built
environments/KEY.lock     held (flock) by the one process that builds or removes it
environments/KEY.tmp/     where that process lets pip unpack

An environment is built where it stays: its scripts carry their place's name. One that is half built when its builder
dies has no record; the next build, of any environment, removes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from argosy.config.recipe import EnvironmentRecipe
from argosy.disk import POLL_SECONDS, folder_bytes, opened_lock, try_lock
from argosy.errors import BuildError
from argosy.state import read_json, write_json

Report = Callable[[str], None]


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What a build brought."""

    python: str  # 3.11.7
    installer: str
    packages: list[str]  # name==version


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What lies under a key."""

    recipe: dict[str, Any]  # argosy.config.recipe.EnvironmentRecipe
    built: Built
    size_bytes: int
    made: float  # Unix seconds


@dataclass(frozen=True)
class EnvironmentEntry:
    """For people: what a key costs. `record` is None for what is half built."""

    key: str
    record: Record | None
    size_bytes: int
    used: float  # Unix seconds
    building: bool = False  # some process builds it now


# Given the recipe, the folder to build, and a folder for what is temporary. Raises BuildError.
Build = Callable[[EnvironmentRecipe, Path, Path], Built]


def key_of(recipe: EnvironmentRecipe) -> str:
    """The same for all ways to write the same."""
    told = {
        "python": python_version(recipe),
        "requirements": sorted(set(recipe.requirements)),
        "without": sorted(set(recipe.without)),
        "extra_index_urls": list(recipe.extra_index_urls),
        "installer": recipe.installer,
        "machine": [sys.platform, platform.machine()],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def python_version(recipe: EnvironmentRecipe) -> str:
    return recipe.python or f"{sys.version_info.major}.{sys.version_info.minor}"


class EnvironmentCache:
    """Owns a folder. Safe to use from many processes and threads at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, recipe: EnvironmentRecipe) -> Path | None:
        """Its Python, when it is there whole."""
        key = key_of(recipe)
        python = self.root / key / "bin" / "python"
        if read_json(self._record(key), Record) is None or not python.exists():  # the Python it stands on may be gone
            return None
        with contextlib.suppress(OSError):  # a cache that is only read
            os.utime(self._record(key))
        return python

    def obtain(self, recipe: EnvironmentRecipe, build: Build, report: Report, cancelled: threading.Event) -> Path:
        """Its Python, built if need be. Of several askers one builds, the others wait. Raises BuildError."""
        try:
            if found := self.find(recipe):
                return found
            self.root.mkdir(parents=True, exist_ok=True)
            with self._locked(key_of(recipe), recipe, report, cancelled):
                return self.find(recipe) or self._built(recipe, build)
        except OSError as error:
            raise BuildError(
                f"cannot keep the environment of {recipe} in {self.root}: {error.strerror or error}; "
                "make that folder writable, make room, or set ARGOSY_CACHE to another"
            ) from error

    def log(self, recipe: EnvironmentRecipe) -> Path:
        return self.root / f"{key_of(recipe)}.log"

    def entries(self) -> list[EnvironmentEntry]:
        """All that lies there, the latest used first. Raises OSError."""
        found = []
        for folder in self._folders():
            record = read_json(self._record(folder.name), Record)
            if record is not None:
                used = self._record(folder.name).stat().st_mtime
                found.append(EnvironmentEntry(folder.name, record, record.size_bytes, used))
            else:
                with opened_lock(self.root / f"{folder.name}.lock") as handle:
                    building = not try_lock(handle)
                size, since = folder_bytes(folder), folder.stat().st_mtime
                found.append(EnvironmentEntry(folder.name, None, size, since, building))
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def remove(self, key: str) -> int:
        """Bytes that are free now. Raises BuildError, OSError."""
        with opened_lock(self.root / f"{key}.lock") as handle:
            if not try_lock(handle):
                raise BuildError("another process is building it; stop that one first")
            return self._cleared(key)

    def _built(self, recipe: EnvironmentRecipe, build: Build) -> Path:
        """Runs while the lock is held: nobody else touches these folders."""
        key = key_of(recipe)
        self._remove_half_built(but=key)
        self._cleared(key)
        folder, temporary = self.root / key, self.root / f"{key}.tmp"
        try:
            temporary.mkdir()
            built = build(recipe, folder, temporary)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        record = Record(
            recipe=recipe.model_dump(mode="json", exclude_defaults=True),
            built=built,
            size_bytes=folder_bytes(folder),
            made=time.time(),
        )
        write_json(self._record(key), record)
        return folder / "bin" / "python"

    def _remove_half_built(self, *, but: str) -> None:
        """What builders left that were killed: nobody holds its lock."""
        for folder in self._folders():
            if folder.name != but and not self._record(folder.name).exists():
                with opened_lock(self.root / f"{folder.name}.lock") as handle:
                    if try_lock(handle) and not self._record(folder.name).exists():
                        self._cleared(folder.name)

    def _cleared(self, key: str) -> int:
        """The record goes first. Runs while its lock is held."""
        freed = 0
        self._record(key).unlink(missing_ok=True)
        for folder in (self.root / key, self.root / f"{key}.tmp"):
            if folder.exists():
                freed += folder_bytes(folder)
                shutil.rmtree(folder)
        return freed

    def _folders(self) -> list[Path]:
        """Of environments: their names are keys."""
        if not self.root.is_dir():
            return []
        return [path for path in self.root.iterdir() if path.is_dir() and "." not in path.name]

    @contextlib.contextmanager
    def _locked(
        self, key: str, recipe: EnvironmentRecipe, report: Report, cancelled: threading.Event
    ) -> Iterator[None]:
        with opened_lock(self.root / f"{key}.lock") as handle:
            while not try_lock(handle):
                report(f"waiting for another process that builds the environment of {recipe}")
                if cancelled.wait(POLL_SECONDS):
                    raise BuildError(f"waiting for the environment of {recipe} was cancelled")
            yield

    def _record(self, key: str) -> Path:
        return self.root / f"{key}.json"
