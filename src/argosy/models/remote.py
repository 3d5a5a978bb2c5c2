"""Fetches from hubs and web servers, seen from who asks: a child does it, this watches, tells progress and cancels."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from argosy.disk import POLL_SECONDS, folder_bytes
from argosy.errors import SourceError
from argosy.models.cache import Report
from argosy.models.fetching import Failed, Fetched, Plan
from argosy.models.progress import Meter
from argosy.models.sources import HubSource, UrlSource
from argosy.processes.leash import leashed

_QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DOWNLOAD_TIMEOUT": "30",
    "MODELSCOPE_LOG_LEVEL": "ERROR",
    "MODELSCOPE_DOWNLOAD_TOTAL_TIMEOUT": "604800",  # its hour is too short for a large file on a slow line
}
_answer = msgspec.json.Decoder(Plan | Fetched | Failed)


def endpoint(source: HubSource | UrlSource, variables: Mapping[str, str]) -> str:
    """Scheme and host of who has it, by the variables that the hubs' own tools read."""
    if isinstance(source, UrlSource):
        return "/".join(source.url.split("/")[:3])
    if source.hub == "hf":
        given, default = variables.get("HF_ENDPOINT"), "https://huggingface.co"
    else:
        given = variables.get("MODELSCOPE_ENDPOINT") or variables.get("MODELSCOPE_DOMAIN")
        default = "https://modelscope.cn"
    found = (given or default).strip().rstrip("/")
    return found if "://" in found else f"https://{found}"


def fetch(
    source: HubSource | UrlSource,
    folder: Path,
    *,
    meter: Meter,
    report: Report,
    cancelled: threading.Event,
    variables: Mapping[str, str],
) -> tuple[Path, Fetched]:
    """The folder that has the files, and what they are. What is half there stays in `folder` for the next time.

    Raises SourceError.
    """
    folder.mkdir(exist_ok=True)
    argv = [sys.executable, "-P", "-m", "argosy.models.fetch_child", str(folder), str(source)]
    argv.append(endpoint(source, variables))
    env = {**_QUIET, **variables, "MODELSCOPE_CACHE": str(folder / "modelscope")}
    errors = folder / "errors.log"
    try:
        log = errors.open("wb")
    except OSError as error:
        raise SourceError(f"cannot write {errors}: {error.strerror}") from error
    result: Fetched | Failed | None = None
    total: int | None = None
    with log, leashed(argv, stdout=subprocess.PIPE, stderr=log, env=env) as child:
        for line in _lines(child, cancelled):
            if line:
                answer = _answer.decode(line)
                if isinstance(answer, Plan):
                    total = answer.total_bytes
                else:
                    result = answer
            report(meter.at(folder_bytes(folder), total))
    if cancelled.is_set() and not isinstance(result, Fetched):
        raise SourceError(f"fetching {source} was cancelled; what is here is kept, the next try goes on from there")
    if isinstance(result, Fetched):
        return folder / "files", result
    if result is None:
        last = [line for line in errors.read_text(errors="replace").splitlines() if line.strip()][-1:]
        raise SourceError(
            f"fetching {source} ended with code {child.returncode}: {' '.join(last) or 'nothing was said'}"
        )
    if result.discard:
        shutil.rmtree(folder, ignore_errors=True)
    raise SourceError(result.message, permanent=result.permanent)


def _lines(child: subprocess.Popen[bytes], cancelled: threading.Event) -> Iterator[bytes]:
    """Each line as it comes, b"" between them every now and then; ends with the child or when cancelled."""
    assert child.stdout is not None
    handle, rest = child.stdout.fileno(), b""
    while not cancelled.is_set():
        if not select.select([handle], [], [], POLL_SECONDS)[0]:
            yield b""
            continue
        if not (block := os.read(handle, 1 << 16)):
            child.wait()
            return
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
