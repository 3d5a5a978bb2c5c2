"""Environments are whole or not there, whoever builds them and whatever way that ends. Nothing is built here."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from argosy.config.recipe import EnvironmentRecipe
from argosy.disk import opened_lock, try_lock
from argosy.environments.cache import Built, EnvironmentCache, key_of
from argosy.errors import BuildError

RECIPE = EnvironmentRecipe(requirements=("a==1", "b"))
BUILT = Built(python="3.11.7", installer="pip", packages=["a==1"])


def build(recipe: EnvironmentRecipe, folder: Path, temporary: Path) -> Built:
    """As a builder leaves it."""
    assert temporary.is_dir()
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("")
    return BUILT


def fail(recipe: EnvironmentRecipe, folder: Path, temporary: Path) -> Built:
    folder.mkdir()
    (folder / "half").write_text("x")
    raise BuildError("no such version", permanent=True)


def never(recipe: EnvironmentRecipe, folder: Path, temporary: Path) -> Built:
    raise AssertionError("it is there already")


def obtain(cache: EnvironmentCache, make: object = build, recipe: EnvironmentRecipe = RECIPE) -> Path:
    return cache.obtain(recipe, make, lambda _: None, threading.Event())  # type: ignore[arg-type]


def test_the_same_needs_have_one_key_however_they_are_written() -> None:
    assert key_of(RECIPE) == key_of(EnvironmentRecipe(requirements=("b", "a==1", "b")))
    others = [
        EnvironmentRecipe(requirements=("a==2", "b")),
        EnvironmentRecipe(requirements=("a==1", "b"), python="3.9"),
        EnvironmentRecipe(requirements=("a==1", "b"), without=("c",)),
        EnvironmentRecipe(requirements=("a==1", "b"), extra_index_urls=("https://packages.example/simple",)),
    ]
    assert len({key_of(recipe) for recipe in (RECIPE, *others)}) == 5


def test_it_is_built_once(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path / "environments")
    python = obtain(cache)
    assert python == tmp_path / "environments" / key_of(RECIPE) / "bin" / "python"
    assert obtain(cache, never) == python
    (entry,) = cache.entries()
    assert entry.record is not None
    assert entry.record.built == BUILT


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path)
    with pytest.raises(BuildError, match="no such version"):
        obtain(cache, fail)
    assert cache.entries() == []
    assert cache.find(RECIPE) is None


def test_what_a_killed_builder_left_is_told_and_goes_with_the_next_build(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path)
    half = tmp_path / "0123456789abcdef"
    half.mkdir()
    (half / "something").write_text("x")
    assert [(entry.key, entry.record, entry.building) for entry in cache.entries()] == [(half.name, None, False)]
    obtain(cache)
    assert not half.exists()


def test_what_another_builds_now_is_let_alone(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path)
    growing = tmp_path / "0123456789abcdef"
    growing.mkdir()
    with opened_lock(tmp_path / f"{growing.name}.lock") as handle:
        assert try_lock(handle)
        obtain(cache)
        assert growing.exists()
        assert [entry.building for entry in cache.entries() if entry.record is None] == [True]
        with pytest.raises(BuildError, match="another process is building it"):
            cache.remove(growing.name)


def test_who_waits_for_another_builder_says_so_and_can_be_told_to_stop(tmp_path: Path) -> None:
    cache, cancelled, told = EnvironmentCache(tmp_path), threading.Event(), list[str]()

    def report(text: str) -> None:
        told.append(text)
        cancelled.set()

    with opened_lock(tmp_path / f"{key_of(RECIPE)}.lock") as handle:
        assert try_lock(handle)
        with pytest.raises(BuildError, match="was cancelled"):
            cache.obtain(RECIPE, never, report, cancelled)
    assert told == ["waiting for another process that builds the environment of a==1 and 1 more"]


def test_one_whose_python_is_gone_is_built_anew(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path)
    obtain(cache).unlink()
    assert cache.find(RECIPE) is None
    assert obtain(cache).exists()


def test_a_removed_one_is_gone_with_its_record(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path)
    (obtain(cache).parent / "big").write_bytes(bytes(1000))
    assert cache.remove(key_of(RECIPE)) == 1000
    assert cache.entries() == []
