"""The engine `command`: any program that speaks the OpenAI wire over HTTP, described by the fleet file itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from argosy.config.schema import Deployment
from argosy.engines.base import CHAT, COMPLETIONS, EMBEDDINGS, Capabilities, EngineContext, Launch

_SLOTS = 8  # of a program that we know nothing of, where `concurrency` does not say


class Options(BaseModel):
    """The engine command takes no options: everything stands in `command`, `env` and `ready`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Command:
    name = "command"
    options: type[BaseModel] = Options
    tells_port = False

    def launch(self, context: EngineContext) -> Launch:
        command = context.deployment.command or ()
        filled = {"{path}": str(context.path), "{port}": str(context.port), "{name}": context.name}
        return Launch(tuple(_filled(word, filled) for word in command))

    def health(self, deployment: Deployment) -> str:
        return deployment.ready

    def capabilities(self, deployment: Deployment) -> Capabilities:
        return Capabilities((CHAT, COMPLETIONS, EMBEDDINGS), deployment.concurrency or _SLOTS)

    def memory_bytes(self, context: EngineContext) -> int | None:
        return None


def _filled(word: str, values: dict[str, str]) -> str:
    """Not str.format: a chat template or a piece of JSON in a command has braces of its own."""
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word


ENGINE = Command()
