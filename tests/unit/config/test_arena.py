"""The fleet file's `arena`: off unless it is there, every fault at once."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from argosy.config.environment import Environment
from argosy.config.load import load_fleet
from argosy.config.schema import Arena, Fleet
from argosy.errors import FleetFileError

DEPLOYMENTS = """
deployments:
  red: {engine: echo}
  blue: {engine: echo}
  vectors: {engine: echo, task: embed}
"""
Load = Callable[[str], Fleet]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(text: str) -> Fleet:
        path = tmp_path / "demo.yaml"
        path.write_text(textwrap.dedent(text) + DEPLOYMENTS, encoding="utf-8")
        return load_fleet(path, Environment.read({}))

    return loaded


def faults(load: Load, text: str) -> list[str]:
    with pytest.raises(FleetFileError) as caught:
        load(text)
    return [str(fault) for fault in caught.value.faults]


def test_it_is_off_where_the_file_does_not_name_it(load: Load) -> None:
    assert load("").arena is None


@pytest.mark.parametrize("text", ["arena:", "arena: {}", "arena:\n  # models: all\n"])
def test_it_is_on_by_its_name_alone_and_keeps_no_conversations(load: Load, text: str) -> None:
    arena = load(text).arena
    assert arena == Arena()
    assert arena.models == "all"
    assert not arena.keep_conversations


def test_a_database_is_a_file_beside_the_fleet_file_or_a_url(load: Load, tmp_path: Path) -> None:
    for given, expected in (
        ("votes/a.sqlite", str(tmp_path / "votes" / "a.sqlite")),
        ("postgresql://u:p@h/votes", "postgresql://u:p@h/votes"),
    ):
        arena = load(f"arena: {{database: '{given}'}}").arena
        assert arena is not None
        assert arena.database == expected


def test_every_fault_is_found_at_once(load: Load) -> None:
    text = """\
        arena:
          models: [red, bleu, vectors, red]
          weights: {blue: 2, red: 0}
          database: mysql://user:secret@host/votes
          keep_conversation: true
          votes_per_minute: 0
        """
    assert faults(load, text) == [
        "arena.models[1]: 'bleu' is none of red, blue; did you mean blue? (line 2)",
        "arena.models[2]: 'vectors' embeds: only deployments of task generate can be drawn (line 2)",
        "arena.models[3]: 'red' is named twice (line 2)",
        "arena.weights.blue: is not among arena.models, so it is never drawn (line 3)",
        "arena.weights.red: must be more than 0, got 0 (line 3)",
        "arena.database: is a mysql://… URL; a file's path or postgresql://… is wanted (line 4)",
        "arena.keep_conversation: unknown; did you mean keep_conversations? (line 5)",
        "arena.votes_per_minute: must be at least 1, got 0 (line 6)",
    ]


@pytest.mark.parametrize("models", ["[red]", "al", "3", "[red, 3]"])
def test_models_are_all_or_two_at_least(load: Load, models: str) -> None:
    (told,) = faults(load, f"arena: {{models: {models}}}")
    assert told.startswith("arena.models: must be all, or a list of two deployments at least, got "), told
