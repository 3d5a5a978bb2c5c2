"""What tells weights from others, on every machine alike."""

from __future__ import annotations

import os
from pathlib import Path

from argosy.models.identity import fingerprint


def weights(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_file_keeps_its_fingerprint_under_another_name(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    assert fingerprint(weights(tmp_path / "a.gguf", data)) == fingerprint(weights(tmp_path / "b" / "c.gguf", data))


def test_another_beginning_middle_end_or_length_is_another_model(tmp_path: Path) -> None:
    data = bytes(3_000_000)
    changed = [data + b"x", b"x" + data[1:], data[:-1] + b"x", data[:1_500_000] + b"x" + data[1_500_001:]]
    found = {fingerprint(weights(tmp_path / f"{index}.gguf", each)) for index, each in enumerate([data, *changed])}
    assert len(found) == 5


def test_a_folder_is_known_by_its_weights_and_their_config_alone(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        weights(tmp_path / folder / "model.safetensors", b"w" * 1000)
        weights(tmp_path / folder / "config.json", b"{}")
    weights(tmp_path / "a" / "README.md", b"words")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    weights(tmp_path / "b" / "config.json", b'{"rope": 2}')
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")
