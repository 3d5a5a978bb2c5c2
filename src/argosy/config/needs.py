"""What the engine of each deployment needs, asked before anything runs: headers of weights, and what was measured.

Reads files; fetches nothing. What it has read it reads again only when the file or the deployment is another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from argosy.config.engine_fields import engine_for
from argosy.config.schema import Deployment, Fleet
from argosy.engines import catalog as engines
from argosy.engines.base import Engine, EngineContext
from argosy.engines.measured import Footprints, footprint_key
from argosy.engines.memory import MemoryNeed
from argosy.errors import SourceError
from argosy.models.catalog import CATALOG
from argosy.models.resolve import cached


@dataclass(frozen=True)
class EngineNeeds:
    """`memory`: None where it is not known before it runs. `uses_gpu`: where the fleet file says nothing."""

    memory: MemoryNeed | None = None
    uses_gpu: bool = False


class Needs:
    def __init__(self, cache: Path, measured: Path) -> None:
        """`measured`: the folder of what engines held before."""
        self._cache = cache
        self._footprints = Footprints(measured)
        self._known: dict[str, tuple[object, EngineNeeds]] = {}

    def of_fleet(self, fleet: Fleet, gpus: bool) -> dict[str, EngineNeeds]:  # noqa: FBT001 - given by position, as a callable
        """Of each deployment that has a worker. `gpus`: whether there are any; else no engine is asked about them."""
        return {
            name: self.of(name, deployment, gpus=gpus)
            for name, deployment in fleet.deployments.items()
            if deployment.engine_name != "remote"
        }

    def of(self, name: str, deployment: Deployment, *, gpus: bool) -> EngineNeeds:
        """Of a deployment that is not remote."""
        path = _here(deployment.source, self._cache)
        key = footprint_key(deployment, path)
        on_gpu = gpus and deployment.device != "cpu"
        engine = engines.engine(engine_for(deployment, path, on_gpu=on_gpu))
        companions = _companions(engine, deployment, self._cache)
        seen = (key, path, _changed_at(path), gpus, engine.name, companions)
        if name not in self._known or self._known[name][0] != seen:
            memory = _memory_need(name, deployment, path, engine, companions, on_gpu=on_gpu)
            self._known[name] = (seen, EngineNeeds(memory, gpus and engine.uses_gpu(deployment)))
        needs = self._known[name][1]
        return dataclasses.replace(needs, memory=corrected(needs.memory, key, self._footprints.of(key)))


def corrected(need: MemoryNeed | None, key: str, measured: Mapping[int, int]) -> MemoryNeed | None:
    """By what the same thing held at earlier loads: GPUs → bytes of each. Pure."""
    if need is not None:
        return dataclasses.replace(need, measured=measured) if measured else need
    held = max((gpus * size for gpus, size in measured.items()), default=0)
    # What no header tells is known from now on: it need not have a GPU of its own any more.
    return MemoryNeed(key, held, measured=measured) if held else None


def memory_without_gpus(name: str, deployment: Deployment, cache: Path) -> MemoryNeed | None:
    """What a replica needs at least of the machine's own memory. `cache` is ARGOSY_CACHE."""
    path = _here(deployment.source, cache)
    engine = engines.engine(engine_for(deployment, path, on_gpu=False))
    return _memory_need(name, deployment, path, engine, _companions(engine, deployment, cache), on_gpu=False)


def _here(source: str | None, cache: Path) -> Path | None:
    """Where it lies on this machine."""
    try:
        return cached(source, cache=cache) if source is not None else None
    except SourceError:
        return None  # the start says what is wrong with it


def _companions(engine: Engine, deployment: Deployment, cache: Path) -> dict[str, Path]:
    """Those that are here."""
    found = {name: _here(source, cache) for name, source in engine.companions(deployment).items()}
    return {name: path for name, path in found.items() if path is not None}


def _memory_need(
    name: str,
    deployment: Deployment,
    path: Path | None,
    engine: Engine,
    companions: Mapping[str, Path],
    *,
    on_gpu: bool,
) -> MemoryNeed | None:
    """Of weights that are here by their headers, else by the catalog's size."""
    if path is None:
        row = CATALOG.get(deployment.source or "")
        return None if row is None else MemoryNeed(row.name, row.size_bytes)
    context = EngineContext(name, deployment, path, key="", port=0, address_file=Path(), companions=companions)
    return engine.memory(context, on_gpu=on_gpu)


def _changed_at(path: Path | None) -> int:
    try:
        return path.stat().st_mtime_ns if path is not None else 0
    except OSError:
        return 0
