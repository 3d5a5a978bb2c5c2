"""What there must be before a replica's engine can start: its weights and what goes with them, its Python environment.

Owns also the choice of an engine where the fleet file leaves it open. Fetches and builds; starts nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from argosy.config.engine_name import UNDECIDED
from argosy.config.schema import Deployment
from argosy.engines import catalog, choice, machine
from argosy.engines.base import Engine
from argosy.environments.build import obtain
from argosy.errors import EngineError
from argosy.protocol.replica import AssignedDevice
from argosy.worker import weights
from argosy.worker.beside import beside


@dataclass(frozen=True)
class Prepared:
    """All of it is on this machine."""

    engine: Engine
    path: Path | None
    python: Path
    companions: Mapping[str, Path]


@dataclass(frozen=True)
class Preparation:
    """Of one replica. `variables`: for what fetches and builds."""

    deployment: Deployment
    cache: Path  # ARGOSY_CACHE
    variables: Mapping[str, str]
    sources: Sequence[str]  # ARGOSY_SOURCES
    on_gpu: bool
    report: Callable[[str], None]

    async def run(self) -> Prepared:
        """Raises SourceError, BuildError, EngineError."""
        source = self.deployment.source
        path = await self._fetched(source) if source is not None else None
        engine = catalog.engine(self._engine_name(path))
        companions = {name: await self._fetched(each) for name, each in engine.companions(self.deployment).items()}
        recipe = self.deployment.environment or engine.environment(self.deployment, on_gpu=self.on_gpu)
        python = Path(sys.executable)
        if recipe is not None:
            python = await beside(
                lambda progress, cancelled: obtain(
                    recipe, cache=self.cache, variables=self.variables, report=progress, cancelled=cancelled
                ),
                self.report,
            )
        return Prepared(engine, path, python, companions)

    async def _fetched(self, source: str) -> Path:
        return await weights.fetch(
            source, cache=self.cache, variables=self.variables, report=self.report, order=self.sources
        )

    def _engine_name(self, path: Path | None) -> str:
        if (name := self.deployment.engine_name) != UNDECIDED:
            return name
        assert path is not None, "only a source leaves it open"
        chosen = choice.choose(choice.files_at(path), on_gpu=self.on_gpu)
        try:
            catalog.engine(chosen.engine).options.model_validate(self.deployment.options)
        except ValidationError as error:
            raise EngineError(
                f"engine {chosen.engine} was chosen ({chosen.why}) and does not take these options: "
                f"{', '.join(str(each['loc'][0]) for each in error.errors())}; name an engine in the fleet file",
                permanent=True,
            ) from None
        self.report(f"engine {chosen.engine}: {chosen.why}")
        return chosen.engine


def on_gpu(deployment: Deployment, devices: Sequence[AssignedDevice] | None) -> bool:
    """Whether its engine will see a GPU that is really there."""
    if devices is None:
        return deployment.device != "cpu" and machine.has_gpu()
    return any(not each.simulated for each in devices)
