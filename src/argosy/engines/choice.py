"""Which engine serves weights when the fleet file leaves it open: told by their files and by the devices. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CANDIDATES = ("llama.cpp", "vllm", "transformers")


@dataclass(frozen=True)
class Choice:
    """`why`: for people."""

    engine: str
    why: str


def choose(names: Iterable[str], *, on_gpu: bool) -> Choice:
    """By the names of the files, one or a folder's."""
    suffixes = {Path(name).suffix.lower() for name in names}
    if ".safetensors" in suffixes:
        if on_gpu:
            return Choice("vllm", "safetensors and a GPU")
        return Choice("transformers", "safetensors and no GPU")
    if suffixes & {".bin", ".pt", ".pth"}:
        return Choice("transformers", "weights of PyTorch")
    return Choice("llama.cpp", "a GGUF file" if ".gguf" in suffixes else "a single file")


def files_at(path: Path) -> list[str]:
    """What `choose` looks at. Raises OSError."""
    return sorted(each.name for each in path.iterdir()) if path.is_dir() else [path.name]
