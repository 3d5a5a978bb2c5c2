from __future__ import annotations

from pathlib import Path

from argosy.config.needs import Needs, corrected
from argosy.config.schema import Deployment
from argosy.engines.measured import Footprints, footprint_key
from argosy.engines.memory import MemoryNeed
from argosy.fleet.launcher import NodeInfo
from argosy.fleet.rooms import NodeRoom

GIB = 1024**3


def deployment(**fields: object) -> Deployment:
    return Deployment.model_validate({"source": "/models/a.gguf", **fields})


def test_what_was_measured_on_so_many_gpus_counts_instead_of_the_header() -> None:
    need = MemoryNeed("w", 10 * GIB, measured={2: 7 * GIB})
    assert need.bytes_per_gpu(2) == 7 * GIB
    assert need.bytes_per_gpu(1) == 10 * GIB + GIB // 2


def test_who_fills_what_it_is_given_is_measured_in_vain() -> None:
    need = MemoryNeed("w", 10 * GIB, fills=True, measured={1: 79 * GIB})
    assert need.bytes_per_gpu(1) == 10 * GIB + GIB // 2


def test_memory_beyond_the_header_counts_and_less_is_not_believed() -> None:
    node = NodeRoom(NodeInfo("n"), [])
    assert node.wants(MemoryNeed("w", 10, 1, 2, 3, measured={0: 20})) == 20
    assert node.wants(MemoryNeed("w", 10, 1, 2, 3, measured={0: 5})) == 16


def test_the_key_is_of_what_decides_how_much_a_load_takes() -> None:
    key = footprint_key(deployment(), None)
    assert footprint_key(deployment(aliases=["b"], replicas=2, gpus=[1]), None) == key
    for other in ({"options": {"context": 512}}, {"task": "embed"}, {"source": "/models/b.gguf"}):
        assert footprint_key(deployment(**other), None) != key


def test_the_last_load_is_known_by_its_number_of_gpus(tmp_path: Path) -> None:
    footprints, thing = Footprints(tmp_path), deployment()
    assert footprints.of("k") == {}
    footprints.keep("k", thing, 0, 100)
    footprints.keep("k", thing, 2, 70)
    footprints.keep("k", thing, 2, 80)
    assert footprints.of("k") == {0: 100, 2: 80}


def test_what_no_header_tells_is_known_after_its_first_load_on_gpus() -> None:
    need = corrected(None, "k", {0: GIB, 2: 7 * GIB})
    assert need is not None
    assert (need.bytes_per_gpu(2), need.bytes_per_gpu(1)) == (7 * GIB, 14 * GIB + GIB // 2)
    assert corrected(None, "k", {0: GIB}) is corrected(None, "k", {}) is None


def test_needs_are_corrected_by_the_last_load(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    header = b'{"t": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}}'
    weights.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    served = deployment(source=str(tmp_path), command=["serve", "{path}"])
    needs, footprints = Needs(tmp_path / "cache", tmp_path / "measured"), Footprints(tmp_path / "measured")
    before = needs.of("a", served, gpus=True).memory
    assert before is not None
    assert (before.weights_bytes, dict(before.measured)) == (8, {})
    footprints.keep(footprint_key(served, tmp_path), served, 1, 4096)
    after = needs.of("a", served, gpus=True).memory
    assert after is not None
    assert after.bytes_per_gpu(1) == 4096
