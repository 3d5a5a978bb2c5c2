"""What a whole fleet needs of memory, before anything starts."""

from __future__ import annotations

from pathlib import Path

from argosy.cli.check import check
from argosy.config.budget import Budget
from argosy.config.environment import Environment
from argosy.engines.memory import MemoryNeed

GIB = 1024**3


def need(weights: str, weights_gib: int, cache_gib: int = 0) -> MemoryNeed:
    return MemoryNeed(weights, weights_gib * GIB, cache_bytes_per_token=GIB, context=cache_gib, slots=1)


def test_replicas_of_the_same_weights_share_them_and_have_a_cache_each() -> None:
    budget = Budget.of([("a", need("w", 4, 1), 3), ("b", need("w", 4, 2), 1), ("c", need("v", 5), 2)])
    assert budget.needs == {"a": 7 * GIB, "b": 2 * GIB, "c": 5 * GIB}
    assert budget.excess(14 * GIB) is None
    said = budget.excess(13 * GIB)
    assert said is not None
    assert "at least 14.0 GiB of memory (a 7.0, c 5.0, b 2.0) and this machine has 13.0 GiB" in said


def test_replicas_that_make_a_copy_of_their_weights_need_each_their_own() -> None:
    assert Budget.of([("a", need("", 4, 1), 3), ("b", need("", 2), 1)]).needs == {"a": 15 * GIB, "b": 2 * GIB}


def test_what_has_no_replica_needs_nothing() -> None:
    assert Budget.of([("a", need("w", 4, 1), 0), ("b", need("w", 4, 1), 1)]).needs == {"b": 5 * GIB}


def test_check_tells_a_fleet_that_is_too_large_unless_its_memory_is_not_to_be_checked(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    big = "{source: ./w.gguf, engine: command, command: [run, '{path}'], replicas: 2%s}"
    with (tmp_path / "w.gguf").open("wb") as weights:
        weights.truncate(8 << 40)  # a hole: more than any machine has
    environment = Environment.read({"ARGOSY_CACHE": str(tmp_path)})
    file.write_text(f"deployments: {{a: {big % ''}}}")
    assert "note: together the replicas need at least 8192.0 GiB of memory (a 8192.0)" in check(file, environment)
    file.write_text(f"deployments: {{a: {big % ', check_memory: false'}, b: {{engine: echo}}}}")
    assert "note:" not in check(file, environment)


def test_check_says_which_engine_nobody_has_tried(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("deployments: {a: {source: 'hf:org/m', engine: sglang}, b: {source: 'hf:org/m', engine: vllm}}")
    notes = [
        line for line in check(file, Environment.read({"ARGOSY_CACHE": str(tmp_path)})).splitlines() if "note" in line
    ]
    assert len(notes) == 1
    assert notes[0].startswith("note: deployments.a: nobody has run engine sglang on a GPU yet (")


def test_check_needs_nothing_to_be_there(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("deployments: {a: {source: smollm2}, b: {source: 'hf:org/unknown'}}")
    assert "note:" not in check(file, Environment.read({"ARGOSY_CACHE": str(tmp_path)}))
    assert list(tmp_path.iterdir()) == [file]
