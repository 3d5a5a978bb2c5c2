from __future__ import annotations

import pytest

from argosy.errors import SourceError
from argosy.models.selection import RepoFile, choose, quantisation


def chosen(*paths: str, wanted: str | None = None) -> list[str]:
    return [file.path for file in choose([RepoFile(path) for path in paths], wanted, repository="hf:o/r").files]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("Model-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("Model-IQ2_XXS.gguf", "IQ2_XXS"),
        ("model-bf16.gguf", "BF16"),
        ("Q8_0/model-Q8_0-00001-of-00002.gguf", "Q8_0"),
        ("Q8_0/model-00001-of-00002.gguf", "Q8_0"),
        ("ggml-model-fp16.gguf", "FP16"),
        ("model.gguf", None),
        ("Qwen2.5-7B.gguf", None),
    ],
)
def test_a_quantisation_is_read_from_a_files_name(path: str, name: str | None) -> None:
    assert quantisation(path) == name


def test_a_single_model_needs_no_name() -> None:
    assert chosen("README.md", "m-Q8_0.gguf", "mmproj-F16.gguf", "imatrix.gguf") == ["m-Q8_0.gguf"]


def test_q4_k_m_is_the_default_and_its_relatives_are_others() -> None:
    assert chosen("m-Q4_K_S.gguf", "m-q4_k_m.gguf", "m-UD-Q4_K_XL.gguf", "m-Q4_K_M_L.gguf") == ["m-q4_k_m.gguf"]


def test_any_part_of_a_split_file_means_all_of_it() -> None:
    parts = [f"Q8_0/m-Q8_0-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert chosen(*reversed(parts), "m-Q2_K.gguf", wanted="Q8_0") == parts
    assert chosen(*parts, wanted=parts[1]) == parts
    assert chosen(*parts, wanted="m-Q8_0-00002-of-00003.gguf") == parts
    with pytest.raises(SourceError, match="the repository has 2 of its 3 parts"):
        chosen(*parts[1:], wanted="Q8_0")


def test_beside_safetensors_a_gguf_must_be_named() -> None:
    paths = ("model.safetensors", "config.json", "m-Q4_K_M.gguf")
    assert chosen(*paths) == ["model.safetensors", "config.json"]
    assert chosen(*paths, wanted="q4_k_m") == ["m-Q4_K_M.gguf"]
    assert chosen(*paths, wanted="model.safetensors") == ["model.safetensors"]


def test_weights_that_say_the_same_again_are_left_out() -> None:
    kept = ["config.json", "model-00001-of-00001.safetensors", "model.safetensors.index.json", "tokenizer.model"]
    left = [
        "pytorch_model.bin",
        "consolidated.00.safetensors",
        "onnx/model.onnx",
        "onnx/config.json",
        "a.h5",
        "pic.png",
    ]
    assert chosen(*kept, *left) == kept


def test_weights_of_pytorch_are_taken_where_there_is_nothing_else() -> None:
    paths = ["config.json", "modeling_x.py", "tokenizer.model", "pytorch_model.bin.index.json"]
    weights = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
    assert chosen(*paths, *weights, "training_args.bin") == [*paths, *weights]


@pytest.mark.parametrize(
    ("paths", "wanted", "sentence"),
    [
        (["a-Q8_0.gguf", "a-Q2_K.gguf"], None, "hf:o/r has no Q4_K_M; name one: Q2_K, Q8_0; for example hf:o/r:Q2_K"),
        (["a-Q4_K_M.gguf", "b-Q4_K_M.gguf"], None, "hf:o/r has more than one Q4_K_M; name one: a-Q4_K_M.gguf, b-Q4_K"),
        (["a-Q4_K_M.gguf", "b-Q4_K_M.gguf"], "Q4_K_M", "'Q4_K_M' fits more than one file of hf:o/r; name one of a-Q"),
        (["a-Q4_K_M.gguf"], "Q9", "hf:o/r has no 'Q9'; it has Q4_K_M"),
        (["model.safetensors"], "Q4_K_M", "hf:o/r has no GGUF files, so no 'Q4_K_M'; leave it out"),
        (["a/x.gguf", "b/x.gguf"], "x.gguf", "hf:o/r has no file 'x.gguf'; did you mean a/x.gguf or b/x.gguf?"),
        (["model.onnx", "README.md"], None, "hf:o/r has neither GGUF files nor safetensors; it has model.onnx"),
        ([], None, "hf:o/r has neither GGUF files nor safetensors; it is empty"),
    ],
)
def test_what_is_unclear_is_told_with_what_there_is(paths: list[str], wanted: str | None, sentence: str) -> None:
    with pytest.raises(SourceError) as caught:
        chosen(*paths, wanted=wanted)
    assert sentence in str(caught.value)
