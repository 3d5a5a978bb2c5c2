"""What a replica needs of this machine's memory before it starts, and what would fit in its place. Pure.

All figures are lower bounds: what is refused for them could not have worked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_GIB = 1024**3
_CONTEXT_STEP = 256  # a context that is worth telling: llama.cpp rounds to these itself
_SMALLEST_USEFUL_CONTEXT = 2048


@dataclass(frozen=True)
class MemoryNeed:
    """`weights`: which they are; replicas of the same ones share their pages. "": each has a copy of its own."""

    weights: str
    weights_bytes: int
    cache_bytes_per_token: int = 0  # 0: it keeps nothing, or its header does not tell
    context: int = 0  # tokens per request
    slots: int = 0  # requests at once, each with a context
    pool_bytes: int = 0  # its cache, where that is of one size whatever is asked
    unknown: str = ""  # why its cache is not counted, where it has one
    # In GPUs only:
    gpu_overhead_bytes: int = _GIB // 2  # of each of them: the driver's context, kernels, buffers for one step
    fills: bool = False  # it takes all that it is given and is the better for it (vLLM's cache)
    measured: Mapping[int, int] = field(default_factory=dict)  # GPUs → what it held of each at an earlier load

    @property
    def cache_bytes(self) -> int:
        return self.pool_bytes or self.cache_bytes_per_token * self.context * self.slots

    def bytes_per_gpu(self, gpus: int) -> int:
        """Of each of so many, where weights and cache are split over them. What was measured is known better."""
        if self._is_measured(gpus):
            return self.measured[gpus]
        return -(-self.total_bytes // gpus) + self.gpu_overhead_bytes

    @property
    def beyond_bytes(self) -> int:
        """What it held of the machine's own memory at an earlier load beyond what its header told."""
        return max(0, self.measured.get(0, 0) - self.total_bytes)

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.cache_bytes

    @property
    def parts(self) -> str:
        """weights 4.1, cache 0.6"""
        cache = f", cache {gib(self.cache_bytes)}" if self.cache_bytes else ""
        unknown = f", its cache is not counted: {self.unknown}" if self.unknown else ""
        return f"weights {gib(self.weights_bytes)}{cache}{unknown}"

    def gpu_parts(self, gpus: int) -> str:
        """Of what it needs of each of so many."""
        if self._is_measured(gpus):
            return "as its last load held"
        return f"{self.parts}, {gib(self.gpu_overhead_bytes)} for the engine itself"

    def __str__(self) -> str:
        """4.7 GiB of memory (weights 4.1, cache 0.6)"""
        text = f"{gib(self.total_bytes)} GiB of memory"
        return f"{text} ({self.parts})" if self.cache_bytes or self.unknown else text

    def what_fits(self, available_bytes: int, *, weights_are_here: bool = False) -> str:
        """What would fit into `available_bytes`, as the second half of a sentence."""
        left = available_bytes - (0 if weights_are_here else self.weights_bytes)
        if self.pool_bytes and left >= _GIB:
            return f"would fit: a cache of {left // _GIB} GiB"
        tokens = max(0, left) // self.cache_bytes_per_token if self.cache_bytes_per_token else 0
        choices = []
        if (context := _rounded(tokens // max(1, self.slots))) and context < self.context:
            choices.append((context, self.slots))
        if self.slots > 1:
            fewer = min(self.slots, tokens // self.context)
            choices.append((self.context, fewer) if fewer else (_rounded(tokens), 1))
        told = [f"context {context} with {_counted(slots)}" for context, slots in choices if context]
        if told:
            return f"would fit: {', or '.join(told)}"
        context = min(self.context, _SMALLEST_USEFUL_CONTEXT)
        largest = available_bytes - self.cache_bytes_per_token * context
        if largest <= 0:
            return "no weights would fit"
        with_context = f" (with context {context} and 1 slot)" if context else ""
        return f"a smaller quantisation is needed: weights of at most {gib(largest)} GiB would fit{with_context}"

    def _is_measured(self, gpus: int) -> bool:
        return gpus in self.measured and not self.fills


def gib(count: int) -> str:
    return f"{count / _GIB:.2f}" if count < _GIB else f"{count / _GIB:.1f}"


def _rounded(context: int) -> int:
    return context // _CONTEXT_STEP * _CONTEXT_STEP


def _counted(slots: int) -> str:
    return f"{slots} slot{'' if slots == 1 else 's'}"
