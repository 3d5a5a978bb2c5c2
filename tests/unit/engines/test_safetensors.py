import json
import struct
from pathlib import Path

import pytest

from argosy.config.schema import Deployment
from argosy.engines import catalog, machine
from argosy.engines.base import EngineContext
from argosy.engines.safetensors import SafetensorsError, StoredWeights
from weights import safetensors


def weight_bytes(folder: Path) -> int | None:
    stored = StoredWeights.of(folder)
    return stored and stored.total_bytes


def test_the_weights_are_the_tensors_of_all_files(tmp_path: Path) -> None:
    safetensors(tmp_path / "a.safetensors", 100, 20)
    safetensors(tmp_path / "b.safetensors", 3)
    assert weight_bytes(tmp_path) == 123


def test_an_index_says_which_files_count(tmp_path: Path) -> None:
    safetensors(tmp_path / "model-00001-of-00002.safetensors", 10)
    safetensors(tmp_path / "model-00002-of-00002.safetensors", 20)
    safetensors(tmp_path / "consolidated.safetensors", 30)
    files = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {**files, "c": files["a"]}}))
    assert weight_bytes(tmp_path) == 30


def test_a_whole_file_is_not_counted_with_its_twins(tmp_path: Path) -> None:
    safetensors(tmp_path / "model.safetensors", 10)
    safetensors(tmp_path / "adapter.safetensors", 5)
    assert weight_bytes(tmp_path) == 10


def test_a_folder_without_any_tells_nothing(tmp_path: Path) -> None:
    assert weight_bytes(tmp_path) is None


def test_what_is_quantised_stays_as_it_is_where_the_rest_is_loaded_in_another_size(tmp_path: Path) -> None:
    safetensors(tmp_path / "a.safetensors", 100, kind="I32")
    safetensors(tmp_path / "b.safetensors", 80, 20, kind="BF16")
    safetensors(tmp_path / "c.safetensors", 40, kind="F32")
    stored = StoredWeights.of(tmp_path)
    assert stored is not None
    assert (stored.total_bytes, stored.float_bytes) == (240, 2)
    assert stored.loaded_bytes(4) == 100 + 200 + 40
    assert stored.loaded_bytes(0.5) == 100 + 25 + 5


@pytest.mark.parametrize(
    "data", [b"", b"abc", b"\xff" * 16, struct.pack("<Q", 5) + b"{", struct.pack("<Q", 2) + b"[]", b'{"a": 1}' * 4]
)
def test_a_broken_file_is_said_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(SafetensorsError, match=r"model\.safetensors is"):
        weight_bytes(tmp_path)


def test_a_broken_index_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(SafetensorsError, match=r"index\.json is no index"):
        weight_bytes(tmp_path)


@pytest.mark.skipif(machine.has_gpu(), reason="weights may go to the GPU instead of memory")
def test_a_command_needs_at_least_the_weights_that_it_is_given(tmp_path: Path) -> None:
    command = catalog.engine("command")

    def need(path: Path) -> int | None:
        deployment = Deployment(source=str(path), command=("serve", "{path}"))
        found = command.memory(EngineContext("m", deployment, path, "key", 1, tmp_path / "address"), on_gpu=False)
        return found and found.total_bytes

    assert need(tmp_path) is None
    safetensors(tmp_path / "model.safetensors", 10)
    assert need(tmp_path) == 10
    (tmp_path / "model.safetensors").write_bytes(b"broken: the program says how")
    assert need(tmp_path) is None
    (tmp_path / "m.gguf").write_bytes(b"x" * 7)
    assert need(tmp_path / "m.gguf") == 7
    (tmp_path / "m.onnx").write_bytes(b"x" * 7)
    assert need(tmp_path / "m.onnx") is None
