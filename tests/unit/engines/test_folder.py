"""What engines that load a model's folder need of memory: its weights as they load them, its cache as they keep it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from argosy.config.schema import Deployment
from argosy.engines import catalog
from argosy.engines.base import EngineContext
from argosy.engines.memory import MemoryNeed
from weights import safetensors

PER_TOKEN = 2 * 2 * 4 * 8 * 2  # of CONFIG, in 16 bits
CONFIG: dict[str, Any] = {
    **{"num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 8},
    **{"max_position_embeddings": 32768, "torch_dtype": "bfloat16"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    safetensors(tmp_path / "model.safetensors", 800, 200, kind="BF16")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def need(folder: Path, engine: str, *, on_gpu: bool = True, task: str = "generate", **options: Any) -> MemoryNeed:
    deployment = Deployment(source=str(folder), engine=engine, options=options, task=task)
    context = EngineContext("m", deployment, folder, "", 0, Path())
    found = catalog.engine(engine).memory(context, on_gpu=on_gpu)
    assert found is not None
    return found


def test_vllm_has_room_for_one_whole_request_or_it_does_not_start(folder: Path) -> None:
    assert need(folder, "vllm").cache_bytes == 32768 * PER_TOKEN
    assert need(folder, "vllm", max_model_len=1024).cache_bytes == 1024 * PER_TOKEN
    assert need(folder, "vllm").fills


@pytest.mark.parametrize(
    "extra", [["--kv-cache-dtype", "fp8"], ["--kv-cache-dtype=fp8_e5m2"], ["--seed", "1", "--kv_cache_dtype", "fp8"]]
)
def test_a_cache_of_eight_bits_is_half(folder: Path, extra: list[str]) -> None:
    assert need(folder, "vllm", extra_args=extra).cache_bytes == 32768 * PER_TOKEN // 2
    assert need(folder, "sglang", context_length=100, extra_args=extra).cache_bytes == 100 * PER_TOKEN // 2


def test_a_cache_of_the_usual_kind_is_not_half(folder: Path) -> None:
    extra = ["--kv-cache-dtype", "auto"]
    assert need(folder, "vllm", extra_args=extra).cache_bytes == 32768 * PER_TOKEN


def test_vllm_on_a_cpu_takes_the_cache_that_it_is_told(folder: Path) -> None:
    found = need(folder, "vllm", on_gpu=False, cpu_cache_gib=3)
    assert (found.weights_bytes, found.cache_bytes) == (1000, 3 << 30)
    assert found.what_fits(5 << 29) == "would fit: a cache of 2 GiB"
    assert found.what_fits(1 << 20).startswith("a smaller quantisation is needed")


@pytest.mark.parametrize(("engine", "option"), [("transformers", "context"), ("sglang", "context_length")])
def test_who_starts_with_less_than_its_longest_request_is_reckoned_with_a_usual_one(
    folder: Path, engine: str, option: str
) -> None:
    assert need(folder, engine).cache_bytes == 4096 * PER_TOKEN
    assert need(folder, engine, **{option: 16384}).cache_bytes == 16384 * PER_TOKEN


def test_more_than_the_model_takes_is_not_reckoned_with(folder: Path) -> None:
    assert need(folder, "transformers", context=1 << 20).context == 32768


def test_weights_are_counted_as_they_are_loaded(folder: Path) -> None:
    assert need(folder, "transformers", dtype="float32").weights_bytes == 2000
    assert need(folder, "transformers", dtype="float32").cache_bytes == 4096 * PER_TOKEN * 2
    safetensors(folder / "model.safetensors", 1000, kind="F32")
    assert need(folder, "vllm").weights_bytes == 500, "it makes 16 bits of 32"
    assert need(folder, "transformers").weights_bytes == 1000


def test_what_is_quantised_on_the_way_in_is_less(folder: Path) -> None:
    assert need(folder, "vllm", quantization="fp8").weights_bytes == 500
    assert need(folder, "vllm", quantization="bitsandbytes").weights_bytes == 250
    (folder / "config.json").write_text(json.dumps({**CONFIG, "quantization_config": {"quant_method": "fp8"}}))
    assert need(folder, "vllm", quantization="fp8").weights_bytes == 1000, "these are so already"


def test_pickled_weights_count_by_their_files(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    for part in (1, 2):
        (folder / f"pytorch_model-0000{part}-of-00002.bin").write_bytes(b"x" * 100)
    assert need(folder, "transformers").weights_bytes == 200
    assert need(folder, "transformers", dtype="float32").weights_bytes == 200


def test_vectors_need_no_cache(folder: Path) -> None:
    assert need(folder, "transformers", task="embed").cache_bytes == 0
    assert str(need(folder, "vllm", task="embed")) == "0.00 GiB of memory"


@pytest.mark.parametrize("engine", ["vllm", "sglang", "transformers"])
def test_a_config_that_lacks_fields_leaves_the_weights_and_says_so(folder: Path, engine: str) -> None:
    (folder / "config.json").write_text("{}")
    found = need(folder, engine)
    assert (found.total_bytes, found.unknown) == (1000, "config.json has no num_hidden_layers")
    assert "its cache is not counted: config.json has no num_hidden_layers" in str(found)
    (folder / "config.json").write_text(json.dumps({**CONFIG, "max_position_embeddings": None}))
    assert need(folder, engine).unknown == "config.json does not say how long a request may be"


def test_only_weights_that_stay_as_they_are_stay_pages_of_their_files(folder: Path) -> None:
    assert need(folder, "transformers").weights == str(folder)
    assert need(folder, "transformers", dtype="float32").weights == need(folder, "vllm").weights == ""
