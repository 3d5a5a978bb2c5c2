"""What the options of several engines have in common: how strict they are, and fields that mean the same in each."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class EngineOptions(BaseModel):
    """Of one engine: what `options:` of a deployment may hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# Types of fields of that name. Those that are None where nothing is said leave it to the engine.
RequestTokens = Annotated[
    Annotated[int, Field(ge=16, le=1 << 24)] | None,
    Field(description="tokens per request, prompt and answer together (default: the model's own length)"),
]
Quantization = Annotated[
    Annotated[str, Field(min_length=1)] | None,
    Field(description="fp8, awq, gptq … (default: what the weights say)"),
]
TrustRemoteCode = Annotated[
    bool, Field(description="run the code in the model's repository, whose revision must be a commit then")
]
Threads = Annotated[
    Annotated[int, Field(ge=1, le=1024)] | None,
    Field(description="default: the machine's physical cores, shared between the deployment's replicas"),
]
