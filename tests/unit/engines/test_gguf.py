import struct
from pathlib import Path
from typing import Any

import pytest

from argosy.engines.gguf import GgufError, GgufHeader, weight_bytes
from weights import gguf

LLAMA = {
    "general__architecture": "llama",
    "llama__block_count": 30,
    "llama__embedding_length": 576,
    "llama__attention__head_count": 9,
    "llama__attention__head_count_kv": 3,
}


def test_the_cache_of_a_plain_model_is_layers_times_heads_times_two(tmp_path: Path) -> None:
    header = GgufHeader.read(gguf(tmp_path / "a.gguf", **LLAMA))
    assert header.cache_bytes(1024) == 1024 * 30 * 3 * (64 + 64) * 2


@pytest.mark.parametrize(
    "smaller",
    [
        {"llama__attention__sliding_window": 4096},
        {"llama__ssm__state_size": 16},
        {"llama__attention__causal": False},
        {"llama__attention__head_count_kv": [3, 0, 3]},
    ],
)
def test_a_model_that_keeps_less_is_not_overestimated(tmp_path: Path, smaller: dict[str, Any]) -> None:
    assert GgufHeader.read(gguf(tmp_path / "a.gguf", **{**LLAMA, **smaller})).cache_bytes(1024) == 0


def test_an_encoder_keeps_nothing_where_others_may_keep_what_is_not_told(tmp_path: Path) -> None:
    assert GgufHeader.read(gguf(tmp_path / "a.gguf", **LLAMA)).keeps
    assert not GgufHeader.read(gguf(tmp_path / "a.gguf", **LLAMA, llama__attention__causal=False)).keeps


def test_reading_stops_before_the_tokenizer(tmp_path: Path) -> None:
    path = gguf(tmp_path / "a.gguf", **LLAMA, tokenizer__ggml__model="gpt2")
    path.write_bytes(path.read_bytes()[:-4])  # broken there: nobody looks
    assert "tokenizer.ggml.model" not in GgufHeader.read(path).fields


def test_whether_embeddings_know_their_pooling(tmp_path: Path) -> None:
    assert not GgufHeader.read(gguf(tmp_path / "a.gguf", **LLAMA)).pooling_known
    assert GgufHeader.read(gguf(tmp_path / "a.gguf", **LLAMA, llama__pooling_type=1)).pooling_known


@pytest.mark.parametrize(
    "data", [b"", b"GG", b"<html>", b"GGUF\x03\x00", b"GGUF" + struct.pack("<IQQ", 3, 0, 9) + b"\xff" * 40]
)
def test_what_is_no_gguf_file_is_said_so(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(data)
    with pytest.raises(GgufError, match=r"a\.gguf is"):
        GgufHeader.read(path)


def test_weights_in_several_files_count_together(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"big-0000{number}-of-00003.gguf").write_bytes(b"x" * number)
    assert weight_bytes(tmp_path / "big-00001-of-00003.gguf") == 6
    (tmp_path / "small.gguf").write_bytes(b"xx")
    assert weight_bytes(tmp_path / "small.gguf") == 2


def test_a_file_of_another_kind_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_text("root: weights")
    with pytest.raises(GgufError, match="it does not begin with the letters GGUF"):
        GgufHeader.read(tmp_path / "a.gguf")
