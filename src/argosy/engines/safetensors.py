"""The headers of safetensors files: how many bytes of weights a model's folder holds. Reads no tensor.

Format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

from argosy.engines.memory import MemoryNeed

_LONGEST_HEADER = 100 * 1000 * 1000  # the format's own limit


class SafetensorsError(ValueError):
    """The file is no safetensors file, or a broken one."""


def weight_bytes(folder: Path) -> int | None:
    """Of all files that make up the model; None for a folder without any. Raises SafetensorsError, OSError."""
    files = _files(folder)
    return sum(map(_tensor_bytes, files)) if files else None


def memory_need(path: Path | None, *, fills: bool) -> MemoryNeed | None:
    """Of an engine that loads the folder whole; what its cache takes beyond that, it decides when it starts."""
    try:
        weights = weight_bytes(path) if path is not None and path.is_dir() else None
    except (SafetensorsError, OSError):
        return None  # the engine says what is wrong with them
    return None if weights is None else MemoryNeed(str(path), weights, fills=fills)


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


def _tensor_bytes(file: Path) -> int:
    with file.open("rb") as opened:
        head = opened.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 0 < length <= _LONGEST_HEADER:
            raise SafetensorsError(f"{file} is no safetensors file: its header's length is {length}")
        try:
            header = json.loads(opened.read(length))
            return max(
                (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0
            )
        except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
            raise SafetensorsError(
                f"{file} is a broken safetensors file: its header cannot be read ({error!r})"
            ) from None
