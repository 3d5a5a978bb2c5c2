"""The engine `echo`: answers with the words it was sent, deterministic, at the pace and with the faults asked for.

For demonstrations, and for tests of everything around an engine.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, Field

from argosy.config.recipe import EnvironmentRecipe
from argosy.config.schema import Deployment
from argosy.engines.base import KEY_VARIABLE, Capabilities, EngineContext, Launch
from argosy.engines.memory import MemoryNeed
from argosy.engines.options import EngineOptions
from argosy.protocol.endpoints import COMMON, EMBEDDINGS, TOKENIZE
from argosy.protocol.traits import EngineTraits

# It says what it was told, as JSON where that is asked for, whatever else is.
_TRAITS = EngineTraits(
    engine="echo",
    binds_answers=True,
    ignores=("logprobs", "functions", "audio", "best_of", "suffix", "echo"),
)


class Options(EngineOptions):
    """Options of the engine echo."""

    tokens_per_second: Annotated[float, Field(ge=0, le=1e6)] = Field(
        0, description="pace of each answer; 0: all at once"
    )
    first_token_seconds: Annotated[float, Field(ge=0, le=86400)] = Field(
        0, description="pause before an answer's first token, as a prompt's reading takes it"
    )
    load_seconds: Annotated[float, Field(ge=0, le=86400)] = Field(
        0, description="time until it is ready; until then /health answers 503"
    )
    slots: Annotated[int, Field(ge=1, le=100_000)] = Field(8, description="requests it works on at once; more wait")
    context: Annotated[int, Field(ge=1, le=1 << 30)] = Field(
        4096, description="tokens of a prompt and its answer that it is said to take (/tokenize); nothing is cut"
    )
    dimensions: Annotated[int, Field(ge=1, le=65536)] = Field(8, description="numbers in an embedding")
    fail_to_load: str | None = Field(None, description="after load_seconds it prints this and exits with code 1")
    faults: bool = Field(
        default=False,
        description="a prompt's last user message may ask for one: !crash, !exit, !hang, !stall, !break (each also as "
        "`!crash after 3`: after so many tokens), !status 500",
    )
    split_bytes: Annotated[int, Field(ge=1, le=65536)] | None = Field(
        None, description="streams are written in pieces of so many bytes, wherever that cuts an event"
    )


class Echo:
    name = "echo"
    options: type[BaseModel] = Options
    takes_chat_template = False
    tells_port = True
    tested_with = "ours"
    untested = False

    def environment(self, deployment: Deployment, *, on_gpu: bool) -> EnvironmentRecipe | None:
        return None

    def companions(self, deployment: Deployment) -> Mapping[str, str]:
        return {}

    def launch(self, context: EngineContext) -> Launch:
        options = Options.model_validate(context.deployment.options)
        argv = [sys.executable, "-m", "argosy.engines.echo_server", "--name", context.name]
        argv += ["--port", str(context.port), "--address-file", str(context.address_file)]
        argv += ["--options", options.model_dump_json(exclude_defaults=True)]
        return Launch(tuple(argv), {KEY_VARIABLE: context.key})

    def health(self, deployment: Deployment) -> str:
        return "/health"

    def capabilities(self, deployment: Deployment) -> Capabilities:
        paths = (EMBEDDINGS, TOKENIZE) if deployment.task == "embed" else (*COMMON, TOKENIZE)
        return Capabilities(paths, Options.model_validate(deployment.options).slots, _TRAITS)

    def memory(self, context: EngineContext, *, on_gpu: bool) -> MemoryNeed | None:
        return None

    def uses_gpu(self, deployment: Deployment) -> bool:
        return False


ENGINE = Echo()
