"""config.json of a model's folder: what its cache takes of memory for each token, and how long a request may be. Pure
but for the one read.

Every family of models has names of its own for the same fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLOAT_BYTES = {"float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2}
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads")
_CACHED_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num", "num_attention_groups")
_HEAD_WIDTH = ("head_dim", "kv_channels")
_WIDTH = ("hidden_size", "n_embd", "d_model")
_LENGTHS = (
    *("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length"),
    *("max_sequence_length", "max_seq_length", "seq_len"),
)
# In a name: not every layer keeps what it has read of all tokens.
_OTHER_LAYERS = ("mamba", "ssm", "attn_layer_", "linear_attn", "full_attention_interval", "attention_chunk_size")


class _UnknownError(Exception):
    """What the file does not tell, for people."""


@dataclass(frozen=True)
class CacheSize:
    """Bytes for each token of a request, a lower bound; `unknown`: why they cannot be told."""

    bytes_per_token: int = 0
    unknown: str = ""


@dataclass(frozen=True)
class ModelConfig:
    """`fields`: those of the part that reads and writes text."""

    fields: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> ModelConfig:
        """Without a readable file it tells nothing."""
        try:
            told = json.loads((folder / "config.json").read_bytes())
        except (OSError, ValueError):
            told = {}
        whole = told if isinstance(told, dict) else {}
        text = whole.get("text_config")  # of a model that sees, too
        return cls({**whole, **text} if isinstance(text, dict) else whole)

    @property
    def quantised(self) -> bool:
        return bool(self.fields.get("quantization_config"))

    @property
    def float_bytes(self) -> int | None:
        """Of each of the weights' numbers."""
        return FLOAT_BYTES.get(str(self.fields.get("torch_dtype") or self.fields.get("dtype")))

    @property
    def context(self) -> int | None:
        """Tokens of a request that it is made for."""
        lengths = [self.fields[name] for name in _LENGTHS if _counts(self.fields.get(name))]
        rope = self.fields.get("rope_scaling") or self.fields.get("rope_parameters")
        if isinstance(rope, dict) and rope.get("rope_type", rope.get("type")) in ("longrope", "su"):
            name = "original_max_position_embeddings"  # more is served only where it is asked for
            lengths += [each for each in (self.fields.get(name), rope.get(name)) if _counts(each)]
        return min(lengths, default=None)

    def cache(self, element_bytes: int) -> CacheSize:
        """`element_bytes`: of each number that is kept."""
        try:
            return CacheSize(self._layers() * self._kept_numbers() * element_bytes)
        except _UnknownError as unknown:
            return CacheSize(unknown=str(unknown))

    def _layers(self) -> int:
        """Those that keep all tokens."""
        if self.fields.get("is_encoder_decoder"):
            raise _UnknownError("it has an encoder beside its decoder")
        if isinstance(kinds := self.fields.get("layer_types"), list):
            return sum(kind == "full_attention" for kind in kinds)
        if self.fields.get("sliding_window") and self.fields.get("use_sliding_window") is not False:
            raise _UnknownError("its layers look back through a sliding window")
        if others := [name for name in self.fields if any(word in name for word in _OTHER_LAYERS)]:
            raise _UnknownError(f"its layers differ (config.json has {others[0]})")
        return self._said(*_LAYERS)

    def _kept_numbers(self) -> int:
        """Of a token, in one layer."""
        if rank := self._said("kv_lora_rank", default=0):  # keys and values in one, compressed
            return rank + self._said("qk_rope_head_dim", default=0)
        heads = self._said(*_HEADS)
        # Falcon's first kind says how many heads there would be, and that all of a layer's share one.
        shared = self.fields.get("multi_query") is True and not self.fields.get("new_decoder_architecture")
        cached = 1 if shared else self._said(*_CACHED_HEADS, default=heads)
        width = self._said(*_HEAD_WIDTH, default=0) or self._said(*_WIDTH) // heads
        return 2 * cached * width

    def _said(self, *names: str, default: int | None = None) -> int:
        found = next((self.fields[name] for name in names if _counts(self.fields.get(name))), default)
        if found is None:
            raise _UnknownError(f"config.json has no {names[0]}")
        return int(found)


def _counts(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
