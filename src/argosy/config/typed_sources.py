"""Sources as they are typed on a command line: the GPUs behind their @, and the names of their deployments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from argosy.config.gpus import split_source
from argosy.config.values import RESERVED_NAMES
from argosy.errors import SourceError
from argosy.models import sources as model_sources


def pinned(sources: Sequence[str]) -> dict[str, list[tuple[int, ...] | None]]:
    """Source → the GPUs of each of its replicas. What exists under its whole name is a path, whatever it ends with."""
    found: dict[str, list[tuple[int, ...] | None]] = {}
    for text in sources:
        source, pins = (text, None) if Path(text).exists() else split_source(text)
        found.setdefault(source, []).append(pins)
    return found


def name_of(source: str) -> str:
    """smollm2 → smollm2, qwen2.5:0.5b → qwen2.5-0.5b, models/Qwen 2.5.gguf → qwen-2.5, hf:Org/Qwen3-GGUF → qwen3"""
    name = _written_name(source).lower().removesuffix("-gguf")
    name = re.sub(r"[^a-z0-9._-]+", "-", name).strip("-.")
    return f"{name or 'model'}-model" if name in RESERVED_NAMES or not name else name


def _written_name(source: str) -> str:
    try:
        parsed = model_sources.parse(source)
    except SourceError:  # which is told later, as a fault
        return Path(source).stem
    match parsed:
        case model_sources.PathSource(path=path):
            return path.stem
        case model_sources.CatalogSource(row=row):
            return row.name
        case model_sources.HubSource(name=name):
            return name
        case other:
            return Path(other.name).stem


def free_name(name: str, taken: Mapping[str, object]) -> str:
    number = 1
    candidate = name
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate
