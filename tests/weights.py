"""Files of weights as small as can be, written by hand: what reads headers is tested with them."""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_ALIGNMENT = 32  # of a GGUF file's tensors
_F32 = 0


def safetensors(path: Path, *sizes: int, kind: str = "U8") -> None:
    """Of tensors of so many bytes, which nobody reads."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for number, size in enumerate(sizes):
        header[f"layer.{number}"] = {"dtype": kind, "shape": [size], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def gguf(path: Path, tensors: Mapping[str, tuple[Sequence[int], array[float]]] | None = None, **fields: Any) -> Path:
    """`tensors`: name → shape, the quickest to change first, and its numbers. A field's dots are written __."""
    infos, data = [], bytearray()
    for name, (shape, numbers) in (tensors or {}).items():
        infos.append(_string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, _F32, len(data)))
        data += numbers.tobytes()
        data += bytes(-len(data) % _ALIGNMENT)
    parts = [_field(key.replace("__", "."), value) for key, value in fields.items()]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(parts)) + b"".join([*parts, *infos])
    path.write_bytes(head + (bytes(-len(head) % _ALIGNMENT) + data if infos else b""))
    return path


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _field(key: str, value: Any) -> bytes:
    if isinstance(value, list):
        kind, packed = _scalar(value[0])
        items = b"".join(_scalar(each)[1] for each in value)
        return _string(key) + struct.pack("<IIQ", 9, kind, len(value)) + items
    kind, packed = _scalar(value)
    return _string(key) + struct.pack("<I", kind) + packed


def _scalar(value: Any) -> tuple[int, bytes]:
    if isinstance(value, str):
        return 8, _string(value)
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    return 4, struct.pack("<I", value)
