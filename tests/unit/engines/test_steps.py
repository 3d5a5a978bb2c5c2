from __future__ import annotations

from typing import Any

import pytest

from argosy.engines.gguf import GgufHeader
from argosy.engines.steps import LARGEST, SMALLEST, STEP_SECONDS, THREAD_SPEED, step_tokens

# https://huggingface.co/HuggingFaceTB/SmolLM2-135M, https://huggingface.co/Qwen/Qwen2.5-0.5B: their config.json.
SMOLLM2 = {"block_count": 30, "embedding_length": 576, "feed_forward_length": 1536, "attention.head_count": 9}
SMOLLM2 |= {"attention.head_count_kv": 3}
QWEN05 = {"block_count": 24, "embedding_length": 896, "feed_forward_length": 4864, "attention.head_count": 14}
QWEN05 |= {"attention.head_count_kv": 2}


def header(fields: dict[str, Any]) -> GgufHeader:
    return GgufHeader({"general.architecture": "a", **{f"a.{name}": value for name, value in fields.items()}})


def test_a_token_takes_a_multiplication_for_each_weight_and_two_for_each_token_before_it() -> None:
    of_one_layer = 2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536 + 1024 * 576
    assert header(SMOLLM2).multiplications_per_token(1024) == 30 * of_one_layer


def test_of_a_mixture_of_experts_only_those_count_that_are_used() -> None:
    mixture = SMOLLM2 | {"expert_count": 64, "expert_used_count": 2, "expert_feed_forward_length": 768}
    assert header(mixture).multiplications_per_token(1024) == header(SMOLLM2).multiplications_per_token(1024)


@pytest.mark.parametrize(
    ("fields", "threads", "tokens"),
    [
        (SMOLLM2, 1, 32),
        (SMOLLM2, 2, 64),
        (SMOLLM2, 64, LARGEST),
        (QWEN05, 1, SMALLEST),
        (QWEN05, 4, 32),
        (QWEN05, 6, 64),
    ],
)
def test_a_step_is_as_large_as_the_threads_read_in_time(fields: dict[str, Any], threads: int, tokens: int) -> None:
    assert step_tokens(header(fields), 1024, threads) == tokens
    seconds = tokens * header(fields).multiplications_per_token(1024) / (THREAD_SPEED * threads)
    assert seconds <= STEP_SECONDS or tokens == SMALLEST


@pytest.mark.parametrize("unknown", [{}, {**SMOLLM2, "feed_forward_length": [1536, 0]}])
def test_a_model_whose_size_is_not_told_is_read_in_the_largest_steps(unknown: dict[str, Any]) -> None:
    assert step_tokens(header(unknown), 1024, 1) == LARGEST
