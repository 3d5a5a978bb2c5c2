"""Fetches a file of a web server over https: goes on where it was cut, never mixes two versions of the file.

Runs in the child. Proxies are those of the environment.
"""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from argosy.errors import SourceError
from argosy.models.fetching import Fetched, Plan, Tell, check_room, fetch_all, writing
from argosy.models.selection import RepoFile, Selection
from argosy.models.sources import UrlSource

_TRIES = 5  # in a row without a byte
_IDLE_SECONDS = 30.0
_BLOCK = 1 << 20
Expect = Callable[[int | None], None]
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _CutError(Exception):
    """Worth another try."""


def fetch(source: UrlSource, folder: Path, tell: Tell) -> Fetched:
    """Raises SourceError."""
    told: list[int | None] = []

    def expect(total: int | None) -> None:
        if told != [total]:
            told[:] = [total]
            check_room(total or 0, folder)
            tell(Plan(total))

    def get(file: RepoFile, part: Path) -> None:
        tries = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                return _go_on(source.url, part, expect)
            except (
                _CutError,
                urllib.error.URLError,
                http.client.HTTPException,
                TimeoutError,
                ConnectionError,
            ) as error:
                tries = 1 if part.exists() and part.stat().st_size > before else tries + 1
                if tries >= _TRIES:
                    raise SourceError(
                        f"{urlsplit(source.url).hostname} does not send {file.path} ({_reason(error)}); what is here "
                        "is kept, the next try goes on from there"
                    ) from error
                time.sleep(0.125 * 2**tries)

    return fetch_all(Selection((RepoFile(source.name, sha256=source.sha256),), source.name), folder, get, tell)


def _go_on(url: str, part: Path, expect: Expect) -> None:
    """One request, from the byte that is missing. Raises what get() retries, and SourceError."""
    validator_file = part.with_name(f"{part.name}.version")
    validator = validator_file.read_text() if validator_file.exists() else ""
    have = part.stat().st_size if part.exists() and validator else 0
    request = urllib.request.Request(url, headers={"User-Agent": "argosy", "Accept-Encoding": "identity"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", validator)  # another version is sent whole
    try:
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=_IDLE_SECONDS)  # noqa: S310  sources.py read the URL
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:
                validator_file.unlink(missing_ok=True)  # more is here than there
                raise _CutError("it has no such byte") from error
            if error.code in (408, 429) or error.code >= 500:
                raise _CutError(f"HTTP {error.code} {error.reason}") from error
            raise SourceError(f"{url} cannot be had: {_refusal(error.code)}", permanent=True) from error
    with answer:
        if answer.headers.get_content_type() == "text/html":
            raise SourceError(
                f"{url} is a web page, not a file; take the link that downloads (on a hub: …/resolve/… instead of "
                "…/blob/…)",
                permanent=True,
            )
        start, total = _span(answer)
        if start != have:
            have = 0
        if answer.status == 206 and start != have:
            raise _CutError(f"it sent bytes from {start}")
        expect(total)
        fresh = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        validator_file.write_text("" if fresh.startswith("W/") else fresh)
        _write(answer, part, have)
    if total is not None and part.stat().st_size < total:
        raise _CutError("the connection was cut")
    validator_file.unlink()


def _write(answer: HTTPResponse, part: Path, start: int) -> None:
    try:
        content = part.open("ab")
    except OSError as error:
        raise writing(part, error) from error
    with content:
        content.truncate(start)
        while True:
            try:
                block = answer.read1(_BLOCK)
            except http.client.IncompleteRead as error:
                block = error.partial
            if not block:
                return
            try:
                content.write(block)
            except OSError as error:
                raise writing(part, error) from error


def _span(answer: HTTPResponse) -> tuple[int, int | None]:
    """The first byte of this answer, and the size of the whole file."""
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", "")) if answer.status == 206 else None
    if found:
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = answer.headers.get("Content-Length")
    return 0, int(length) if length and length.isdigit() else None


def _refusal(status: int) -> str:
    if status in (401, 403):
        return f"the server wants credentials (HTTP {status}), which Argosy sends to hubs only"
    if status in (404, 410):
        return f"there is no such file (HTTP {status}); check the address"
    return f"HTTP {status}"


def _reason(error: Exception) -> str:
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(getattr(inner, "strerror", None) or inner or type(inner).__name__)
