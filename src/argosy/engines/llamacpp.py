"""The engine llama.cpp: describes how llamacpp_server.py is started for a GGUF file, and what it then can do."""

from __future__ import annotations

import functools
import importlib.util
import json
import mmap
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, Field

from argosy.config.recipe import EnvironmentRecipe
from argosy.config.schema import Deployment
from argosy.engines import gguf, machine
from argosy.engines.base import KEY_VARIABLE, Capabilities, EngineContext, Launch, run_in
from argosy.engines.memory import MemoryNeed
from argosy.engines.options import EngineOptions, Threads
from argosy.engines.steps import LARGEST, SMALLEST, step_tokens
from argosy.errors import EngineError
from argosy.protocol.endpoints import EMBEDDING, GENERATING
from argosy.protocol.traits import EngineTraits

# Whether a client has left it asks when it has something to say to it, or in a second without any result, also of other
# requests: on a busy engine never before the answer begins, on a plain request never at all.
_TRAITS = EngineTraits(
    engine="llama.cpp",
    tells_usage=True,
    tells_progress=True,
    cancels_plain=False,
    counts_apart=True,
    binds_answers=True,
    # Tried one by one: each gets 200 and the answer that it would get without.
    ignores=(
        *("functions", "audio", "web_search_options"),
        *("best_of", "echo", "suffix", "logprobs: 0", "dimensions"),
        # Of /v1/responses and /v1/messages. Of a chat the gateway makes what binds_answers says.
        *("tool_choice: forced", "text.format", "output_config.format"),
        *("background", "conversation", "prompt", "mcp_servers"),
    ),
    # It takes any number, but all of its slots are then taken until the last is done.
    most_inputs=32,
    too_long="is too large to process",
)

_OURS = ("port", "api_prefix", "public_path", "n_parallel", "n_ctx", "n_batch", "n_gpu_layers", "embedding")


def _check_extra(given: dict[str, bool | int | float | str]) -> dict[str, bool | int | float | str]:
    for name in given:
        if name in _OURS:
            raise ValueError(f"{name} is Argosy's to say: leave it out")
    return given


class Options(EngineOptions):
    """Options of the engine llama.cpp."""

    context: Annotated[int, Field(ge=64, le=1 << 22)] = Field(
        4096, description="tokens per request, prompt and answer together (at most what the model was trained for)"
    )
    slots: Annotated[int, Field(ge=1, le=256)] = Field(
        4, description="requests it works on at once; each takes a context's memory"
    )
    threads: Threads = None
    batch: Annotated[int, Field(ge=SMALLEST, le=1 << 16)] | None = Field(
        None,
        description=f"tokens of prompts worked on in one step (default: {SMALLEST} to {LARGEST} on a CPU, by the "
        "model's size and the threads, on a GPU llama.cpp's); a client that leaves while its prompt is read frees its "
        "slot after one or two",
    )
    gpu_layers: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        None, description="layers on the GPU (default: as many as fit, where xllamacpp was built for a GPU)"
    )
    pooling: Literal["mean", "cls", "last"] | None = Field(
        None, description="task embed: how tokens become one vector (default: what the model says, else mean)"
    )
    split: Literal["layer", "row", "none"] = Field(
        "layer",
        description="how it lies on several GPUs: by layers, by rows of each layer, or all of it on one",
    )
    draft_model: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="source of a small model of the same vocabulary that guesses tokens ahead: quicker answers"
    )
    draft_tokens: Annotated[int, Field(ge=1, le=256)] = Field(3, description="tokens that it guesses at once")
    projector: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="source of the model's projector (mmproj-….gguf): then it looks at images"
    )
    prompt_cache_mib: Annotated[int, Field(ge=0, le=1 << 20)] = Field(
        512, description="memory for prompts seen before, so that a conversation goes on without reading them again"
    )
    extra_args: Annotated[dict[str, bool | int | float | str], AfterValidator(_check_extra)] = Field(
        default_factory=dict, description="more of llama.cpp's parameters, by xllamacpp's names: {n_keep: 64}"
    )


class LlamaCpp:
    name = "llama.cpp"
    options: type[BaseModel] = Options
    takes_chat_template = True
    tells_port = True
    tested_with = "xllamacpp 2026.10, on CPUs"
    untested = False

    def environment(self, deployment: Deployment, *, on_gpu: bool) -> EnvironmentRecipe | None:
        return None

    def companions(self, deployment: Deployment) -> Mapping[str, str]:
        options = _options(deployment)
        given = {"draft_model": options.draft_model, "projector": options.projector}
        return {name: source for name, source in given.items() if source is not None}

    def launch(self, context: EngineContext) -> Launch:
        path, options = context.path, _options(context.deployment)
        assert path is not None, "the schema wants a source for llama.cpp"
        if not context.in_own_environment and importlib.util.find_spec("xllamacpp") is None:
            raise EngineError(
                f"engine llama.cpp needs the package xllamacpp, which {sys.executable} does not have: "
                "pip install 'argosy[llamacpp]'",
                permanent=True,
            )
        try:
            header = gguf.GgufHeader.read(path)
        except (gguf.GgufError, OSError) as error:
            raise EngineError(str(error), permanent=True) from None
        embed = context.deployment.task == "embed"
        pooling = options.pooling or (None if header.pooling_known else "mean")
        threads = options.threads or max(1, machine.cores() // max(1, context.deployment.replicas))
        step = step_tokens(header, options.context, threads)
        config: dict[str, Any] = {
            "path": str(path),
            "name": context.name,
            "port": context.port,
            "address_file": str(context.address_file),
            "context": options.context,
            "slots": options.slots,
            "threads": threads,
            "batch": options.batch or (None if machine.has_gpu() else max(step, options.slots)),
            "gpu_layers": 0 if context.devices == () else options.gpu_layers,
            "gpu_budgets": [each.budget_bytes for each in context.devices or () if not each.simulated],
            "split": options.split,
            "draft_model": str(context.companions["draft_model"]) if options.draft_model else None,
            "draft_tokens": options.draft_tokens,
            "projector": str(context.companions["projector"]) if options.projector else None,
            "extra_args": options.extra_args,
            "pooling": pooling if embed else None,
            "embed": embed,
            "prompt_cache_mib": options.prompt_cache_mib,
            # By its file: one argument holds 128 KiB at most.
            "chat_template_file": str(context.chat_template) if context.chat_template else None,
        }
        argv = (*run_in(context, "argosy.engines.llamacpp_server"), json.dumps(config))
        # Idle threads that spin take the cores from the engine beside this one: 5 instead of 36 tokens/s.
        return Launch(argv, {KEY_VARIABLE: context.key, "OMP_WAIT_POLICY": "passive"})

    def health(self, deployment: Deployment) -> str:
        return "/health"

    def capabilities(self, deployment: Deployment) -> Capabilities:
        paths = EMBEDDING if deployment.task == "embed" else GENERATING
        options = _options(deployment)
        # It tells a context that is rounded up, but takes no embedding's input that is longer than was asked for.
        traits = msgspec.structs.replace(_TRAITS, context=options.context, sees=options.projector is not None)
        return Capabilities(paths, options.slots, traits)

    def memory(self, context: EngineContext, *, on_gpu: bool) -> MemoryNeed | None:
        options = _options(context.deployment)
        if context.path is None:
            return None
        try:
            header = gguf.GgufHeader.read(context.path)
            weights = sum(map(gguf.weight_bytes, (context.path, *context.companions.values())))
            cache = header.cache_bytes(1)
            draft = context.companions.get("draft_model")
            guesses = gguf.GgufHeader.read(draft).cache_bytes(1) if draft is not None else 0
        except (gguf.GgufError, OSError):
            return None  # launch says what is wrong with the file
        return MemoryNeed(
            weights=str(context.path.resolve()),
            weights_bytes=weights,
            cache_bytes_per_token=cache + guesses,
            context=options.context,
            slots=options.slots,
            unknown="" if cache or not header.keeps else "the file's header does not tell its size",
        )

    def uses_gpu(self, deployment: Deployment) -> bool:
        layers = _options(deployment).gpu_layers
        return _built_for_gpu() if layers is None else layers > 0


@functools.cache
def _built_for_gpu() -> bool:
    """Whether this xllamacpp is one of the builds for NVIDIA or AMD: their kernels' names stand in its code. Loading it
    to ask would cost this process 127 MB."""
    found = importlib.util.find_spec("xllamacpp")
    for folder in (found.submodule_search_locations or []) if found is not None else []:
        for library in sorted(Path(folder).glob("*.so")):
            with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as code:
                if any(code.find(kernels) >= 0 for kernels in (b"ggml_cuda", b"ggml_hip")):
                    return True
    return False


def _options(deployment: Deployment) -> Options:
    return Options.model_validate(deployment.options)


ENGINE = LlamaCpp()
