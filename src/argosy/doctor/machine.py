"""Checks of the machine: Python, the home and cache folders, memory, clock, engines."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import argosy
from argosy.config.environment import Environment
from argosy.devices.inventory import Machine
from argosy.doctor.finding import Finding, Level
from argosy.engines import machine
from argosy.errors import InputError

_MIB, _GIB = 1024**2, 1024**3
_TIGHT_MEMORY_BYTES = _GIB
_NO_MEMORY_BYTES = 256 * _MIB
_NO_SPACE_BYTES = 100 * _MIB
_IMPORT_SECONDS = 60.0


def python() -> Finding:
    found = f"Argosy {argosy.__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if sys.platform != "linux":
        return Finding("python", "warn", found, "Linux is what is tested; macOS is meant to work")
    return Finding("python", "ok", found)


def folder(check: str, path: Path, *, variable: str, wanted_bytes: int, private: bool) -> Finding:
    """`wanted_bytes`: less free space than this is worth a word. `private`: others must not read it."""
    elsewhere = f"set {variable} to a folder on another disk"
    there = next(each for each in (path, *path.parents) if each.exists())
    if not there.is_dir():
        return Finding(check, "fail", f"{there} is no folder", f"move it away, or set {variable}")
    try:
        if there == path:
            tempfile.TemporaryFile(dir=path).close()
        elif not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(0, f"{there} is not writable, so it cannot be made")
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding(
            check, "fail", f"{path} cannot be written: {error.strerror}", f"make it yours, or set {variable}"
        )
    text = f"{path}{'' if there == path else ' (made when it is needed)'}, {_gib(free)} free"
    if free < _NO_SPACE_BYTES:
        return Finding(check, "fail", f"{text}: the disk is full", f"make room, or {elsewhere}")
    if private and there == path and path.stat().st_mode & 0o077:
        return Finding(check, "warn", f"{text}; other users can look into it", f"chmod 700 {path}")
    if free < wanted_bytes:
        return Finding(check, "warn", f"{text}: that is little", f"make room, or {elsewhere}")
    return Finding(check, "ok", text)


def memory() -> Finding:
    available, limit = machine.available_memory_bytes(), machine.memory_limit_bytes()
    found = f"{_gib(available)} of {_gib(limit)} available, {machine.cores()} core(s)"
    if available < _TIGHT_MEMORY_BYTES:
        level: Level = "fail" if available < _NO_MEMORY_BYTES else "warn"
        return Finding("memory", level, found, "stop something, take smaller models, or raise the container's limit")
    return Finding("memory", "ok", found)


def gpus(environment: Environment) -> Finding:
    try:
        seen = Machine.of(environment.devices, environment.variables).look()
    except InputError as error:
        return Finding("gpus", "fail", str(error), "mend the file, or unset ARGOSY_DEVICES")
    if seen.devices:
        free = sum(each.memory_bytes - each.used_bytes for each in seen.devices)
        names = ", ".join(sorted({each.name for each in seen.devices}))
        said = " (simulated)" if seen.simulated else ""
        of = _gib(sum(each.memory_bytes for each in seen.devices))
        return Finding("gpus", "ok", f"{len(seen.devices)} of kind {names}{said}, {_gib(free)} of {of} free")
    if machine.has_gpu():
        return Finding(
            "gpus", "warn", seen.why_no_gpu, "NVIDIA: update or restart the driver; AMD's are not planned yet"
        )
    return Finding("gpus", "ok", seen.why_no_gpu)


def clock() -> Finding:
    """Whether time passes as it should; how far off it is, gateways tell (fleets.py)."""
    first, second = time.monotonic(), time.monotonic()
    if second < first:
        return Finding("clock", "fail", "the monotonic clock goes backwards", "restart this machine")
    installed = Path(argosy.__file__).stat().st_mtime
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    if time.time() < installed - 86400:
        return Finding("clock", "warn", f"{now}, before Argosy was installed", "set the clock, best by NTP")
    return Finding("clock", "ok", now)


def engines() -> Finding:
    """llama.cpp is the one that needs a package of its own; it is loaded in another process, as a worker does."""
    if importlib.util.find_spec("xllamacpp") is None:
        cure = f"{sys.executable} -m pip install 'argosy[llamacpp]'"
        return Finding("engines", "warn", "llama.cpp: xllamacpp is not installed, so no GGUF can be served", cure)
    version = importlib.metadata.version("xllamacpp")
    cure = f"{sys.executable} -m pip install --force-reinstall xllamacpp"
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import xllamacpp"], capture_output=True, timeout=_IMPORT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding("engines", "warn", f"llama.cpp: xllamacpp {version} did not load within a minute", cure)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        end = said[-1] if said else f"code {done.returncode}"
        return Finding("engines", "fail", f"llama.cpp: xllamacpp {version} does not load: {end}", cure)
    return Finding("engines", "ok", f"llama.cpp: xllamacpp {version} loads; echo, command and remote need nothing")


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / _MIB:.0f} MiB"
