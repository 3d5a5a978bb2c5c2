"""Paths in a fleet file: relative to its folder, absolute from here on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from argosy.config.faults import Finding


def made_absolute(
    holder: Any, key: str | int, location: tuple[str | int, ...], folder: Path | None
) -> Iterator[Finding]:
    """Changes `holder[key]`. `folder`: what relative paths are relative to; None refuses them."""
    path = Path(holder[key]).expanduser()
    if folder is not None:
        holder[key] = str((folder / path).absolute())
    elif not path.is_absolute():
        yield location, f"{holder[key]!r} is a relative path; a fleet that is sent needs absolute ones"
