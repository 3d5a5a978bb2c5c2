"""A replica's weights: fetched without holding up its worker, and what tells them from others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from argosy.config.schema import Deployment
from argosy.errors import EngineError, SourceError
from argosy.models.identity import fingerprint
from argosy.models.resolve import cached, check_source, resolve
from argosy.protocol.replica import ModelIdentity
from argosy.worker.beside import beside


async def identity(deployment: Deployment, path: Path | None = None, *, cache: Path) -> ModelIdentity:
    """What model a replica serves. `path`: its weights; None: they are looked for, and nothing is fetched."""
    if deployment.source is None:
        program = f" {deployment.command[0]}" if deployment.command else ""
        return ModelIdentity(source=f"engine {deployment.engine_name}{program}")
    weights = await asyncio.to_thread(_fingerprint, deployment.source, path, cache)
    return ModelIdentity(source=deployment.source, weights=weights)


def _fingerprint(source: str, path: Path | None, cache: Path) -> str:
    try:
        found = path or cached(source, cache=cache)
        return fingerprint(found) if found is not None else ""
    except (SourceError, OSError):  # whoever fetches or reads them tells what is wrong
        return ""


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
