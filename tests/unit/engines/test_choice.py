from pathlib import Path

import pytest

from argosy.config.engine_name import UNDECIDED
from argosy.config.schema import Deployment
from argosy.engines.choice import choose, files_at


@pytest.mark.parametrize(
    ("names", "on_gpu", "engine"),
    [
        (["m.gguf"], True, "llama.cpp"),
        (["config.json", "model.safetensors"], True, "vllm"),
        (["config.json", "model.safetensors"], False, "transformers"),
        (["config.json", "pytorch_model-00001-of-00007.bin"], True, "transformers"),
        (["sha256-abcdef"], False, "llama.cpp"),
    ],
)
def test_files_and_devices_decide(names: list[str], on_gpu: bool, engine: str) -> None:
    assert choose(names, on_gpu=on_gpu).engine == engine


def test_a_folder_is_known_by_its_files_and_a_file_by_itself(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("")
    assert files_at(tmp_path) == ["model.safetensors"]
    assert files_at(tmp_path / "model.safetensors") == ["model.safetensors"]


@pytest.mark.parametrize(
    ("source", "engine"),
    [
        ("smollm2", "llama.cpp"),
        ("/models/qwen.gguf", "llama.cpp"),
        ("hf:org/model-GGUF:Q4_K_M", "llama.cpp"),
        ("hf:org/model", UNDECIDED),
        ("modelscope:org/model", UNDECIDED),
        ("/models/gguf/llama", UNDECIDED),
        ("https://host/model.gguf", "llama.cpp"),
    ],
)
def test_what_a_sources_text_tells_is_decided_before_it_is_fetched(source: str, engine: str) -> None:
    assert Deployment(source=source).engine_name == engine
