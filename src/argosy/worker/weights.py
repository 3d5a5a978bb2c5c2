"""Fetches a replica's weights without holding up its worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from argosy.errors import EngineError, SourceError
from argosy.models.resolve import check_source, resolve
from argosy.worker.beside import beside


async def fetch(
    source: str,
    *,
    cache: Path,
    variables: Mapping[str, str],
    report: Callable[[str], None],
    order: Sequence[str] = (),
) -> Path:
    """The weights' path; `report` is told how far it is, at most twice a second.

    Raises SourceError, and EngineError(permanent=True) for a source that no second try can fetch.
    """
    try:
        check_source(source)
    except SourceError as error:
        raise EngineError(str(error), permanent=True) from None
    return await beside(
        lambda progress, cancelled: resolve(
            source, cache=cache, progress=progress, cancelled=cancelled, variables=variables, order=order
        ),
        report,
    )
