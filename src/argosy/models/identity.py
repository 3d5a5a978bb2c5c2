"""A fingerprint of weights that is the same on every machine, told in milliseconds: from parts of their files.

Not a proof against a forger: it tells apart what was trained, tuned or quantised differently.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

_WEIGHTS = (".gguf", ".safetensors", ".bin", ".pt", ".pth")
_PART_BYTES = 256 * 1024  # of a file's beginning, middle and end: headers, and tensors of other layers


def fingerprint(path: Path) -> str:
    """Of a file, or of all weight files in a folder (with config.json), whatever the folder is called."""
    if path.is_file():
        return _digest([path], named=False)  # a single file may have been given another name
    files = [each for each in sorted(path.rglob("*")) if each.suffix in _WEIGHTS or each.name == "config.json"]
    return _digest([each for each in files if each.is_file()], named=True)


def _digest(files: list[Path], *, named: bool) -> str:
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name if named else ''} {size}\n".encode())
        with file.open("rb") as opened:
            for start in sorted({0, max(0, size // 2), max(0, size - _PART_BYTES)}):
                opened.seek(start)
                digest.update(opened.read(_PART_BYTES))
    return digest.hexdigest()
