"""The seam between a worker and the engine it starts: options in, a command line and how to know it is ready out.

An engine's file only describes; starting, watching and probing is the worker's. Importing an engine's file imports
nothing heavy: what the engine needs is imported in the process that the worker starts.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from argosy.config.recipe import EnvironmentRecipe
from argosy.config.schema import Deployment
from argosy.engines import machine
from argosy.engines.memory import MemoryNeed
from argosy.engines.standalone import KEY_VARIABLE, write_address
from argosy.protocol.replica import AssignedDevice
from argosy.protocol.traits import WELL_BEHAVED, EngineTraits

__all__ = ["KEY_VARIABLE", "Capabilities", "Engine", "EngineContext", "Launch", "run_in", "write_address"]


@dataclass(frozen=True)
class EngineContext:
    """What an engine is told about the replica it is to serve."""

    name: str  # the deployment's: the name the engine serves its model under
    deployment: Deployment
    path: Path | None  # the weights on this machine; None where the engine takes none
    key: str  # the engine's own key: it must refuse requests without it where it can
    port: int  # the port to listen on, or 0 where the engine picks one and tells it
    address_file: Path  # an engine that picks its port writes http://host:port here, whole, once it listens
    chat_template: Path | None = None  # a file with the deployment's own, in UTF-8
    # The GPUs it will see, numbered from 0 there: len() is the parallelism, each has a budget (`fraction` for vLLM).
    # (): it sees none, so it must not want one. None: nobody says, it sees what the worker sees.
    devices: tuple[AssignedDevice, ...] | None = None
    python: Path = Path(sys.executable)  # of the environment it runs in; Argosy's own where it needs none
    companions: Mapping[str, Path] = field(default_factory=dict)  # where `Engine.companions` lie on this machine

    @property
    def on_gpu(self) -> bool:
        """Whether it may work on a GPU: one it was given, or where nobody says, one that is here."""
        return machine.has_gpu() if self.devices is None else any(not each.simulated for each in self.devices)

    @property
    def in_own_environment(self) -> bool:
        return self.python != Path(sys.executable)


@dataclass(frozen=True)
class Launch:
    """How to start an engine: an argv (never a shell line) and what to add to the environment (secrets go here)."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Capabilities:
    """What a ready engine can do, for the gateway."""

    paths: tuple[str, ...]  # of protocol/endpoints.py
    slots: int  # requests it works on at once: the default of `concurrency`
    traits: EngineTraits = WELL_BEHAVED
    checks_names: bool = False  # it refuses a request under any model's name but the deployment's and its adapters'


class Engine(Protocol):
    """One kind of engine. Stateless: the same object describes every replica of it."""

    name: str
    options: type[BaseModel]  # validates `options:` of the fleet file
    takes_chat_template: bool
    tells_port: bool  # it picks a free port and writes its address file; else the worker chooses a port for it
    tested_with: str  # which versions it was tested with, for people
    untested: bool  # nobody has run it on the hardware that it needs: said wherever somebody chooses it

    def environment(self, deployment: Deployment, *, on_gpu: bool) -> EnvironmentRecipe | None:
        """What it runs in where the fleet file says nothing; None: Argosy's own Python."""
        ...

    def companions(self, deployment: Deployment) -> Mapping[str, str]:
        """More sources that must be on this machine before the start, each under a name of the engine's."""
        ...

    def launch(self, context: EngineContext) -> Launch:
        """How to start it. Raises EngineError(permanent=True) where it cannot be started on this machine."""
        ...

    def health(self, deployment: Deployment) -> str:
        """The path that answers 200 to a GET once it can serve."""
        ...

    def capabilities(self, deployment: Deployment) -> Capabilities: ...

    def memory(self, context: EngineContext, *, on_gpu: bool) -> MemoryNeed | None:
        """What a replica needs at least, or None where it cannot be known before the start. `on_gpu`: it is to lie in
        GPUs if they have room, else in the machine's memory."""
        ...

    def uses_gpu(self, deployment: Deployment) -> bool:
        """Whether it takes a GPU where there is one and the fleet file says nothing of it."""
        ...


def run_in(context: EngineContext, module: str) -> tuple[str, ...]:
    """The start of a command line that runs a module of engines/ in the replica's environment.

    That has no Argosy, and none of our packages may get into it: standalone.py makes the one module known there.
    """
    if not context.in_own_environment:
        return (str(context.python), "-m", module)
    return (str(context.python), "-I", str(Path(__file__).with_name("standalone.py")), module)
