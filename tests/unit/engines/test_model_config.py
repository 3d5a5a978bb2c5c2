"""What config.json of well-known models tells of their caches: layers × heads × what each keeps of a token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from argosy.engines.model_config import CacheSize, ModelConfig

LLAMA: dict[str, Any] = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(LLAMA, 32 * 2 * 8 * 128 * 2, id="llama 3.1 8B: groups of heads share one"),
        pytest.param({**LLAMA, "head_dim": 64}, 32 * 2 * 8 * 64 * 2, id="heads of a width of their own"),
        pytest.param({**LLAMA, "num_key_value_heads": None}, 32 * 2 * 32 * 128 * 2, id="every head keeps"),
        pytest.param({"n_layer": 12, "n_head": 12, "n_embd": 768}, 12 * 2 * 768 * 2, id="gpt-2"),
        pytest.param(
            {
                **{"num_layers": 28, "num_attention_heads": 32, "hidden_size": 4096},
                **{"kv_channels": 128, "multi_query_attention": True, "multi_query_group_num": 2},
            },
            28 * 2 * 2 * 128 * 2,
            id="chatglm2",
        ),
        pytest.param(
            {
                **{"num_hidden_layers": 32, "num_attention_heads": 71, "hidden_size": 4544},
                **{"multi_query": True, "num_kv_heads": 71, "new_decoder_architecture": False},
            },
            32 * 2 * 1 * 64 * 2,
            id="falcon 7B: all heads share one",
        ),
        pytest.param(
            {"num_hidden_layers": 61, "num_attention_heads": 128, "kv_lora_rank": 512, "qk_rope_head_dim": 64},
            61 * (512 + 64) * 2,
            id="deepseek v3: keys and values compressed into one",
        ),
        pytest.param(
            {**LLAMA, "sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 12},
            12 * 2 * 8 * 128 * 2,
            id="gpt-oss: every other layer keeps all",
        ),
        pytest.param({**LLAMA, "sliding_window": 131072, "use_sliding_window": False}, 131072, id="qwen 2.5"),
        pytest.param({"model_type": "llava", "text_config": LLAMA, "vision_config": {}}, 131072, id="one that sees"),
    ],
)
def test_the_cache_is_layers_times_heads_times_what_each_keeps(fields: dict[str, Any], expected: int) -> None:
    text = fields.get("text_config", {})
    assert ModelConfig({**fields, **text}).cache(2) == CacheSize(expected)
    assert ModelConfig({**fields, **text}).cache(1).bytes_per_token == expected // 2


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "config.json has no num_hidden_layers"),
        ({"num_hidden_layers": 3}, "config.json has no num_attention_heads"),
        ({"num_hidden_layers": 3, "num_attention_heads": True}, "config.json has no num_attention_heads"),
        ({"num_hidden_layers": 3, "num_attention_heads": 2}, "config.json has no hidden_size"),
        ({**LLAMA, "is_encoder_decoder": True}, "it has an encoder beside its decoder"),
        ({**LLAMA, "sliding_window": 4096}, "its layers look back through a sliding window"),
        ({**LLAMA, "mamba_d_state": 16}, "its layers differ (config.json has mamba_d_state)"),
    ],
)
def test_what_cannot_be_told_is_told_with_its_reason(fields: dict[str, Any], why: str) -> None:
    assert ModelConfig(fields).cache(2) == CacheSize(0, why)


def test_the_text_of_a_model_that_sees_is_what_counts(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"text_config": LLAMA, "num_hidden_layers": 3}))
    assert ModelConfig.read(tmp_path).cache(2) == CacheSize(131072)


@pytest.mark.parametrize("text", [None, "", "[]", "{"])
def test_a_file_that_is_missing_or_broken_tells_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    config = ModelConfig.read(tmp_path)
    assert (config.context, config.quantised, config.float_bytes) == (None, False, None)
    assert config.cache(2).unknown


def test_the_longest_request_is_the_least_of_what_is_said() -> None:
    assert ModelConfig({"max_position_embeddings": 4096, "seq_length": 32768}).context == 4096
    longer = {"type": "longrope", "original_max_position_embeddings": 4096}
    assert ModelConfig({"max_position_embeddings": 131072, "rope_scaling": longer}).context == 4096
    assert ModelConfig({"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "llama3"}}).context == 131072
