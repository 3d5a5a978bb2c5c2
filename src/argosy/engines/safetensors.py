"""The headers of safetensors files: how many bytes of weights a model's folder holds. Reads no tensor.

Format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_LONGEST_HEADER = 100 * 1000 * 1000  # the format's own limit
_FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}  # these may be loaded in another size


class SafetensorsError(ValueError):
    """The file is no safetensors file, or a broken one."""


@dataclass(frozen=True)
class StoredWeights:
    """All tensors of a model: their kind (BF16, I32 …) → bytes."""

    bytes_by_kind: Mapping[str, int]

    @classmethod
    def of(cls, folder: Path) -> StoredWeights | None:
        """None for a folder without any. Raises SafetensorsError, OSError."""
        found: Counter[str] = Counter()
        files = _files(folder)
        for file in files:
            found.update(_tensor_bytes(file))
        return cls(found) if files else None

    @property
    def total_bytes(self) -> int:
        return sum(self.bytes_by_kind.values())

    def loaded_bytes(self, float_bytes: float) -> int:
        """Where each floating-point number becomes one of that size."""
        return int(
            sum(size * float_bytes / _FLOATS.get(kind, float_bytes) for kind, size in self.bytes_by_kind.items())
        )

    @property
    def float_bytes(self) -> int:
        """Of one such number, as most of them are stored; 0 where there are none."""
        kept = {kind: size for kind, size in self.bytes_by_kind.items() if kind in _FLOATS}
        return _FLOATS[max(kept, key=lambda kind: kept[kind])] if kept else 0


def _files(folder: Path) -> list[Path]:
    """Those that the index names: a repository may hold the same weights once more, in one piece."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = set(json.loads(index.read_bytes())["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise SafetensorsError(f"{index} is no index of safetensors files ({error!r})") from None
        return [folder / str(name) for name in sorted(names)]
    whole = folder / "model.safetensors"
    return [whole] if whole.is_file() else sorted(folder.glob("*.safetensors"))


def _tensor_bytes(file: Path) -> Counter[str]:
    with file.open("rb") as opened:
        head = opened.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 0 < length <= _LONGEST_HEADER:
            raise SafetensorsError(f"{file} is no safetensors file: its header's length is {length}")
        found: Counter[str] = Counter()
        try:
            for name, entry in json.loads(opened.read(length)).items():
                if name != "__metadata__":
                    begin, end = entry["data_offsets"]
                    found[str(entry["dtype"])] += max(0, int(end - begin))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise SafetensorsError(
                f"{file} is a broken safetensors file: its header cannot be read ({error!r})"
            ) from None
        return found
