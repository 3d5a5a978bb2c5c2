"""The engine transformers: describes how transformers_server.py is started for what no other engine runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from argosy.config.recipe import EnvironmentRecipe
from argosy.config.schema import Deployment
from argosy.engines import machine
from argosy.engines.arguments import weights_of
from argosy.engines.base import KEY_VARIABLE, Capabilities, EngineContext, Launch, run_in
from argosy.engines.folder import USUAL_CONTEXT, Loading, memory_need
from argosy.engines.memory import MemoryNeed
from argosy.engines.options import EngineOptions, RequestTokens, Threads, TrustRemoteCode
from argosy.protocol.endpoints import CHAT, COMPLETIONS, EMBEDDINGS
from argosy.protocol.traits import EngineTraits

_TRAITS = EngineTraits(
    engine="transformers",
    ignores=(
        *("tool_choice", "parallel_tool_calls", "response_format", "functions", "audio", "web_search_options"),
        *("logprobs", "logprobs: 0", "best_of", "echo", "suffix", "dimensions"),
    ),
    sees=False,
)

ENVIRONMENT = EnvironmentRecipe(requirements=("transformers==5.23.0", "torch==2.13.0", "accelerate==1.15.0"))


class Options(EngineOptions):
    """Options of the engine transformers."""

    context: RequestTokens = None
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field("auto", description="auto: the weights' own")
    device_map: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="auto, cuda, cpu: where its layers lie (default: auto on GPUs)"
    )
    threads: Threads = None
    pooling: Literal["mean", "cls", "last"] | None = Field(
        None, description="task embed: how tokens become one vector (default: what the model's folder says, else mean)"
    )
    normalize: bool | None = Field(
        None, description="task embed: vectors of length 1 (default: what the model's folder says)"
    )
    trust_remote_code: TrustRemoteCode = False
    extra_args: dict[str, Any] = Field(
        default_factory=dict, description="more of from_pretrained's arguments: {attn_implementation: eager}"
    )


class Transformers:
    name = "transformers"
    options: type[BaseModel] = Options
    takes_chat_template = True
    tells_port = True
    tested_with = "transformers 5.23.0 and 4.33.0, on CPUs"
    untested = False

    def environment(self, deployment: Deployment, *, on_gpu: bool) -> EnvironmentRecipe | None:
        return ENVIRONMENT

    def companions(self, deployment: Deployment) -> Mapping[str, str]:
        return {}

    def launch(self, context: EngineContext) -> Launch:
        options = _options(context.deployment)
        config: dict[str, Any] = {
            "path": weights_of(context.path, self.name),
            "name": context.name,
            "port": context.port,
            "address_file": str(context.address_file),
            "embed": context.deployment.task == "embed",
            "context": options.context,
            "dtype": options.dtype,
            "device_map": options.device_map or ("auto" if context.on_gpu else None),
            "threads": _threads(context, options),
            "pooling": options.pooling,
            "normalize": options.normalize,
            "trust_remote_code": options.trust_remote_code,
            "extra_args": options.extra_args,
            # By its file: one argument holds 128 KiB at most.
            "chat_template_file": str(context.chat_template) if context.chat_template else None,
            "chat_template": None,
        }
        env = {
            KEY_VARIABLE: context.key,
            "HF_HUB_OFFLINE": "1",  # the weights are here; what is missing is told at once
            "TRANSFORMERS_OFFLINE": "1",
            "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "OMP_NUM_THREADS": str(_threads(context, options)),
            "OMP_WAIT_POLICY": "passive",
            "PYTHONUNBUFFERED": "1",
        }
        return Launch((*run_in(context, "argosy.engines.transformers_server"), json.dumps(config)), env)

    def health(self, deployment: Deployment) -> str:
        return "/health"

    def capabilities(self, deployment: Deployment) -> Capabilities:
        paths = (EMBEDDINGS,) if deployment.task == "embed" else (CHAT, COMPLETIONS)
        return Capabilities(paths, 1, _TRAITS)  # one after the other; the gateway keeps the line

    def memory(self, context: EngineContext, *, on_gpu: bool) -> MemoryNeed | None:
        options = _options(context.deployment)
        loading = Loading(
            context=options.context,
            usual_context=USUAL_CONTEXT,  # its cache grows with what is asked
            keeps=context.deployment.task != "embed",
            dtype=options.dtype,
            quantisation="given" if "quantization_config" in options.extra_args else None,
            maps=True,
        )
        return memory_need(context.path, loading)

    def uses_gpu(self, deployment: Deployment) -> bool:
        return _options(deployment).device_map != "cpu"


def _threads(context: EngineContext, options: Options) -> int:
    return options.threads or max(1, machine.cores() // max(1, context.deployment.replicas))


def _options(deployment: Deployment) -> Options:
    return Options.model_validate(deployment.options)


ENGINE = Transformers()
