"""The engine `command`: any program that speaks the OpenAI wire over HTTP, described by the fleet file itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from argosy.config.recipe import EnvironmentRecipe
from argosy.config.schema import Deployment
from argosy.engines import gguf, safetensors
from argosy.engines.base import Capabilities, EngineContext, Launch
from argosy.engines.memory import MemoryNeed
from argosy.engines.options import EngineOptions
from argosy.protocol.traits import EngineTraits

_TRAITS = EngineTraits(engine="command", loose_ends=True)
_SLOTS = 8  # of a program that we know nothing of, where `concurrency` does not say


class Options(EngineOptions):
    """The engine command takes no options: everything stands in `command`, `env` and `ready`."""


class Command:
    name = "command"
    options: type[BaseModel] = Options
    takes_chat_template = True
    tells_port = False
    tested_with = "any server that speaks the OpenAI wire"
    untested = False

    def environment(self, deployment: Deployment, *, on_gpu: bool) -> EnvironmentRecipe | None:
        return None

    def companions(self, deployment: Deployment) -> Mapping[str, str]:
        return {}

    def launch(self, context: EngineContext) -> Launch:
        command = context.deployment.command or ()
        filled = {
            "{path}": str(context.path),
            "{port}": str(context.port),
            "{name}": context.name,
            "{chat_template}": str(context.chat_template),
            "{python}": str(context.python),
        }
        return Launch(tuple(_filled(word, filled) for word in command))

    def health(self, deployment: Deployment) -> str:
        return deployment.ready

    def capabilities(self, deployment: Deployment) -> Capabilities:
        return Capabilities(deployment.paths, deployment.concurrency or _SLOTS, _TRAITS)

    def memory(self, context: EngineContext, *, on_gpu: bool) -> MemoryNeed | None:
        """Of weights whose format we can read; what else a program needs, only it knows."""
        if context.path is None:
            return None
        try:
            weights = _weight_bytes(context.path)
        except (safetensors.SafetensorsError, OSError):
            return None  # the program says what is wrong with them
        return None if weights is None else MemoryNeed(str(context.path.resolve()), weights)

    def uses_gpu(self, deployment: Deployment) -> bool:
        return False  # nobody knows: it sees what there is, unless the file says which


def _weight_bytes(path: Path) -> int | None:
    if path.is_dir():
        stored = safetensors.StoredWeights.of(path)
        return stored.total_bytes if stored is not None else None
    return gguf.weight_bytes(path) if path.suffix == ".gguf" else None


def _filled(word: str, values: dict[str, str]) -> str:
    """Not str.format: a chat template or a piece of JSON in a command has braces of its own."""
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word


ENGINE = Command()
