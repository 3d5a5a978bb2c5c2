"""The engine sglang: describes how SGLang's own OpenAI server is started. Needs a GPU; never tried on one by us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from argosy.config.recipe import EnvironmentRecipe
from argosy.config.schema import Deployment
from argosy.engines.arguments import check_extra, flags, weights_of
from argosy.engines.base import KEY_VARIABLE, Capabilities, EngineContext, Launch
from argosy.engines.folder import USUAL_CONTEXT, Loading, memory_need
from argosy.engines.memory import MemoryNeed
from argosy.engines.options import EngineOptions, Quantization, RequestTokens, TrustRemoteCode
from argosy.errors import EngineError
from argosy.protocol.endpoints import CHAT, COMPLETIONS, EMBEDDINGS
from argosy.protocol.traits import EngineTraits

_TRAITS = EngineTraits(engine="sglang", loose_ends=True)  # its streams' ends are looked at, as those of a stranger
_SLOTS = 64
# It takes its key as an argument only, and a command line is everybody's to read: so it is added in the process itself.
_START = (
    f"import os, runpy, sys; sys.argv += ['--api-key', os.environ.pop('{KEY_VARIABLE}')]; "
    "runpy.run_module('sglang.launch_server', run_name='__main__', alter_sys=True)"
)
_OURS = (
    *("--model-path", "--model", "--host", "--port", "--api-key", "--served-model-name", "--is-embedding"),
    *("--tp", "--tp-size", "--tensor-parallel-size", "--mem-fraction-static", "--trust-remote-code", "--chat-template"),
    *("--context-length", "--max-running-requests"),
)


class Options(EngineOptions):
    """Options of the engine sglang, untested on hardware. Their names are SGLang's own."""

    context_length: RequestTokens = None
    max_running_requests: Annotated[int, Field(ge=1, le=10_000)] = Field(
        _SLOTS, description="requests it works on at once"
    )
    dtype: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="bfloat16, float16 (default: the weights' own)"
    )
    quantization: Quantization = None
    tool_call_parser: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="how this model writes tool calls: llama3, qwen25, mistral …"
    )
    reasoning_parser: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="how this model marks its thoughts: deepseek-r1, qwen3 …"
    )
    trust_remote_code: TrustRemoteCode = False
    extra_args: Annotated[tuple[str, ...], AfterValidator(lambda given: check_extra(given, _OURS))] = Field(
        (), description="more of SGLang's arguments, as they are"
    )


class Sglang:
    name = "sglang"
    options: type[BaseModel] = Options
    takes_chat_template = True
    tells_port = False
    tested_with = "its arguments and readiness against a stand-in; untested on hardware, sglang 0.5.23"
    untested = True

    def environment(self, deployment: Deployment, *, on_gpu: bool) -> EnvironmentRecipe | None:
        return EnvironmentRecipe(requirements=("sglang==0.5.23",))

    def companions(self, deployment: Deployment) -> Mapping[str, str]:
        return {}

    def launch(self, context: EngineContext) -> Launch:
        if not context.on_gpu:
            raise EngineError(
                "engine sglang needs a GPU and none is seen here: take engine vllm or transformers", permanent=True
            )
        return Launch(arguments(context), {KEY_VARIABLE: context.key, "HF_HUB_OFFLINE": "1"})

    def health(self, deployment: Deployment) -> str:
        return "/health"  # /health_generate makes a token each time

    def capabilities(self, deployment: Deployment) -> Capabilities:
        paths = (EMBEDDINGS,) if deployment.task == "embed" else (CHAT, COMPLETIONS)
        return Capabilities(paths, _options(deployment).max_running_requests, _TRAITS)

    def memory(self, context: EngineContext, *, on_gpu: bool) -> MemoryNeed | None:
        options = _options(context.deployment)
        loading = Loading.of_server(
            context.deployment,
            context=options.context_length,
            usual_context=USUAL_CONTEXT,  # it starts with less than a whole request's, and then refuses long ones
            dtype=options.dtype,
            quantisation=options.quantization,
            extra_args=options.extra_args,
        )
        return memory_need(context.path, loading)

    def uses_gpu(self, deployment: Deployment) -> bool:
        return True


def arguments(context: EngineContext) -> tuple[str, ...]:
    options, devices = _options(context.deployment), context.devices or ()
    return (
        *(str(context.python), "-I", "-c", _START),
        *flags(
            model_path=weights_of(context.path, "sglang"),
            host="127.0.0.1",
            port=context.port,
            served_model_name=context.name,
            context_length=options.context_length,
            max_running_requests=options.max_running_requests,
            dtype=options.dtype,
            quantization=options.quantization,
            tp_size=len(devices) if len(devices) > 1 else None,
            mem_fraction_static=min((each.fraction for each in devices), default=None),
            tool_call_parser=options.tool_call_parser,
            reasoning_parser=options.reasoning_parser,
            chat_template=context.chat_template,
            trust_remote_code=options.trust_remote_code,
            is_embedding=context.deployment.task == "embed",
            log_level_http="warning",
        ),
        *options.extra_args,
    )


def _options(deployment: Deployment) -> Options:
    return Options.model_validate(deployment.options)


ENGINE = Sglang()
