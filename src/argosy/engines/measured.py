"""What engines really held at their last load, so that the next plan knows better than the headers of weights.

One file in ARGOSY_HOME/measured for each thing that was loaded (weights, engine, options), written by its workers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from argosy.config.schema import Deployment
from argosy.state import read_json, write_json

_NOTABLE = 0.01  # of what is known already; less is not worth a write


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """Of one thing: GPUs it was split over → bytes of each; 0: bytes of the machine's memory."""

    engine: str
    source: str
    bytes_per_device: dict[int, int] = {}


def footprint_key(deployment: Deployment, path: Path | None) -> str:
    """What decides how much memory a load takes: the same thing has the same key."""
    try:
        size = path.stat().st_size if path is not None else 0
    except OSError:
        size = 0
    decides = [
        deployment.engine_name,
        deployment.task,
        deployment.options,
        list(deployment.command or ()),
        str(path.resolve()) if path is not None else deployment.source,
        size,
    ]
    return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Footprints:
    """Those of one ARGOSY_HOME."""

    folder: Path

    def of(self, key: str) -> Mapping[int, int]:
        """GPUs → bytes of each; nothing for what was never loaded."""
        known = read_json(self.folder / f"{key}.json", Footprint)
        return known.bytes_per_device if known is not None else {}

    def keep(self, key: str, deployment: Deployment, gpus: int, size: int) -> None:
        """Raises OSError."""
        known = self.of(key)
        if abs(known.get(gpus, 0) - size) > _NOTABLE * size:
            measured = Footprint(
                engine=deployment.engine_name,
                source=deployment.source or "",
                bytes_per_device={**known, gpus: size},
            )
            write_json(self.folder / f"{key}.json", measured)
