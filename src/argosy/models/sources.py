"""Sources: what a fleet file may write after `source:`, as values. No fetching here.

smollm2                              a name of the catalog
models/qwen.gguf  ~/qwen.gguf        a path; ./smollm2 where a file has the name of a catalog row
pypi:package==version/member         a file inside a wheel of the Python package index
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from argosy.errors import SourceError
from argosy.models.catalog import CATALOG, CatalogRow

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
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
class PackageSource:
    """A file inside a wheel."""

    package: str
    version: str
    member: str

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"

    @property
    def file(self) -> str:
        return PurePosixPath(self.member).name

    def __str__(self) -> str:
        return f"pypi:{self.requirement}/{self.member}"


Source = PathSource | CatalogSource | PackageSource


def parse(source: str) -> Source:
    """What a source is, by its text alone. Raises SourceError."""
    if not source.strip() or "\0" in source:
        raise SourceError(f"{source!r} is no source: give a path, a catalog name ({', '.join(CATALOG)}) or pypi:…")
    if source in CATALOG:
        return CatalogSource(CATALOG[source])
    scheme = _SCHEME.match(source)
    if scheme is None:
        return PathSource(Path(source))
    if scheme[1] != "pypi":
        raise SourceError(
            f"{source!r}: {scheme[1]}: is not supported yet; give a path (./{source} if it is a file), "
            f"a catalog name ({', '.join(CATALOG)}) or pypi:package==version/member"
        )
    found = _PACKAGE.fullmatch(source)
    if found is None:
        raise SourceError(f"{source!r} is malformed; write pypi:package==version/path/of/the/file/in/its/wheel")
    member = found["member"]
    if any(part in ("", ".", "..") for part in member.split("/")) or "\\" in member:
        raise SourceError(f"{source!r}: {member!r} is no path of a file inside a wheel")
    return PackageSource(found["package"], found["version"], member)


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
            raise SourceError(f"no such file: {path.absolute()}") from None
        close = difflib.get_close_matches(given, CATALOG, n=1)
        cure = f"did you mean {close[0]}?" if close else f"the catalog has {', '.join(CATALOG)}"
        raise SourceError(f"{given!r} is no file and no catalog name; {cure}") from None
    except OSError as error:
        raise SourceError(f"cannot read {path.absolute()}: {error.strerror}") from error
    return path.absolute()
