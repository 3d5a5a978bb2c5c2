"""The header of a GGUF file: what llama.cpp's weights say of themselves. Reads it; knows nothing of starting engines.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST_STRING = 1 << 20
_MOST_ITEMS = 1 << 16
_SPLIT = re.compile(r"(.*)-00001-of-(\d{5})\.gguf")
_KV_BYTES = 2  # llama.cpp's default cache is f16
# A model with one of these keeps less than a full cache (sliding window, latent attention, state space).
_SMALLER_CACHE = ("sliding_window", "kv_lora_rank", "ssm.", "wkv.", "shortconv.")
_CURE = "; give a whole one (`argosy pull` mends what was fetched)"


class GgufError(ValueError):
    """The file is no GGUF file, or a broken one."""


@dataclass(frozen=True)
class GgufHeader:
    """The fields before the tokenizer's (`general.…` and the architecture's): small, and first in every file."""

    fields: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> GgufHeader:
        """Raises GgufError, OSError."""
        if path.is_dir():
            raise GgufError(
                f"{path} is a folder of weights, not a GGUF file: llama.cpp reads GGUF. Give a file "
                "(hf:org/repo-GGUF:Q4_K_M, or a path that ends with .gguf), or another engine"
            )
        with path.open("rb") as file:
            magic = file.read(4)
            if magic != _MAGIC:
                raise GgufError(f"{path} is no GGUF file: it does not begin with the letters GGUF{_CURE}")
            try:
                version, _tensors, count = struct.unpack("<IQQ", file.read(20))
                if version not in (2, 3):
                    raise GgufError(f"{path} is GGUF of version {version}; versions 2 and 3 can be read")
                fields: dict[str, Any] = {}
                for _ in range(count):
                    key = _string(file)
                    if key.startswith("tokenizer."):  # long lists, of no use here
                        break
                    fields[key] = _value(file, _number(file, "I"))
            except (struct.error, UnicodeDecodeError, KeyError, OverflowError) as error:
                raise GgufError(f"{path} is a broken GGUF file: its header cannot be read ({error}){_CURE}") from None
        return cls(fields)

    @property
    def pooling_known(self) -> bool:
        """Whether the model says how its embeddings are made."""
        return self._of_architecture("pooling_type") is not None

    @property
    def keeps(self) -> bool:
        """Whether it has a cache: an encoder reads all at once and keeps nothing."""
        return self._of_architecture("attention.causal") is not False

    def cache_bytes(self, context: int) -> int:
        """A lower bound of what the cache of so many tokens takes; 0 where this header does not tell."""
        architecture = f"{self.fields.get('general.architecture')}."
        if any(key.removeprefix(architecture).find(word) >= 0 for key in self.fields for word in _SMALLER_CACHE):
            return 0
        layers, heads = self._of_architecture("block_count"), self._of_architecture("attention.head_count")
        width = self._of_architecture("embedding_length")
        cached_heads = self._of_architecture("attention.head_count_kv") or heads
        if not self.keeps:
            return 0
        if not all(isinstance(value, int) and value > 0 for value in (layers, heads, width, cached_heads)):
            return 0  # per-layer lists among others
        head = width // heads
        key, value = self._of_architecture("attention.key_length"), self._of_architecture("attention.value_length")
        return int(context * layers * cached_heads * ((key or head) + (value or head)) * _KV_BYTES)

    def multiplications_per_token(self, context: int) -> int:
        """Of one token that is read in the middle of such a context; 0 where this header does not tell. With the
        layers' weights (in a mixture of experts with those that are used), and with all tokens before it."""
        layers, width = self._of_architecture("block_count"), self._of_architecture("embedding_length")
        heads, inner = self._of_architecture("attention.head_count"), self._of_architecture("feed_forward_length")
        cached_heads = self._of_architecture("attention.head_count_kv") or heads
        if used := self._of_architecture("expert_used_count"):
            inner = (self._of_architecture("expert_feed_forward_length") or inner or 0) * used
        if not all(isinstance(value, int) and value > 0 for value in (layers, width, heads, cached_heads, inner)):
            return 0  # per-layer lists among others
        head = self._of_architecture("attention.key_length") or width // heads
        attention = 2 * width * heads * head + 2 * width * cached_heads * head + context * heads * head
        return int(layers * (attention + 3 * width * inner))

    def _of_architecture(self, field: str) -> Any:
        return self.fields.get(f"{self.fields.get('general.architecture')}.{field}")


def weight_bytes(path: Path) -> int:
    """Size of the weights: of all parts, where the file is the first of several (NAME-00001-of-00005.gguf)."""
    split = _SPLIT.fullmatch(path.name)
    if split is None:
        return path.stat().st_size
    stem, parts = split.groups()
    files = [path.with_name(f"{stem}-{number:05d}-of-{parts}.gguf") for number in range(1, int(parts) + 1)]
    return sum(file.stat().st_size for file in files)


def _number(file: BinaryIO, kind: str) -> int:
    (found,) = struct.unpack(f"<{kind}", file.read(struct.calcsize(f"<{kind}")))
    return int(found)


def _string(file: BinaryIO) -> str:
    length = _number(file, "Q")
    if length > _LONGEST_STRING:
        raise OverflowError(f"a string of {length} bytes")
    return file.read(length).decode()


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        item, count = _number(file, "I"), _number(file, "Q")
        if count > _MOST_ITEMS:
            raise OverflowError(f"a list of {count} items")
        return [_value(file, item) for _ in range(count)]
    (found,) = struct.unpack(f"<{_SCALARS[kind]}", file.read(struct.calcsize(f"<{_SCALARS[kind]}")))
    return found
