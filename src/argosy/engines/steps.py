"""How many tokens of a prompt llama.cpp reads in one step on a CPU. Pure.

Between two steps a request whose client has left can end, and others get their next token. llama.cpp tells that a step
is done when it begins the next, so a slot is free after two at the latest, which is to take no longer than a second.
Small steps cost some of the reading's speed (benchmarks/prefill.py), so they are as large as that allows.
"""

from __future__ import annotations

from argosy.engines.gguf import GgufHeader

LARGEST = 64  # tokens; larger steps read no faster
SMALLEST = 16  # smaller ones read much slower
STEP_SECONDS = 0.45
THREAD_SPEED = 12e9  # multiplications of one thread of a slow core in a second: 11 to 13 measured with two models


def step_tokens(header: GgufHeader, context: int, threads: int) -> int:
    """A power of two that these threads read within STEP_SECONDS, from SMALLEST to LARGEST. `context`: in tokens."""
    work = header.multiplications_per_token(context)
    tokens = THREAD_SPEED * threads * STEP_SECONDS / work if work else float(LARGEST)
    step = LARGEST
    while step > SMALLEST and step > tokens:
        step //= 2
    return step
