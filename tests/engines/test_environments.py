"""Environments that are really built, by venv and pip, of packages made here; and engines that run in them."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from contract import KEY, NAME, blueprint_of, start
from stand_in import PROGRAM, SGLANG, wheel

from argosy.config.recipe import EnvironmentRecipe
from argosy.environments.build import obtain
from argosy.environments.cache import EnvironmentCache, key_of
from argosy.errors import BuildError
from argosy.protocol.replica import AssignedDevice
from argosy.wire.client import Client
from command import Argosy

OFFLINE = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    await made.close()


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> EnvironmentRecipe:
    wheels = tmp_path_factory.mktemp("wheels")
    unwanted = wheel(wheels, "unwanted", {"unwanted.py": "raise ImportError('made for another')"})
    sglang = wheel(wheels, "sglang", {"sglang/__init__.py": "", "sglang/launch_server.py": SGLANG}, needs=[unwanted])
    program = wheel(wheels, "program", {"program.py": PROGRAM})
    return EnvironmentRecipe(requirements=(sglang, program), without=("unwanted",), installer="pip")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def python(recipe: EnvironmentRecipe, cache: Path) -> Path:
    told: list[str] = []
    found = obtain(recipe, cache=cache, variables=OFFLINE, report=told.append, cancelled=threading.Event())
    assert told[0].startswith("building the environment of sglang @ file://")
    return found


def test_what_is_asked_for_is_in_it_and_what_must_not_stay_is_not(
    python: Path, cache: Path, recipe: EnvironmentRecipe
) -> None:
    (entry,) = EnvironmentCache(cache / "environments").entries()
    assert entry.record is not None
    assert {"sglang==1.0", "program==1.0"} <= set(entry.record.built.packages)
    assert "unwanted==1.0" not in entry.record.built.packages
    assert sorted(path.name for path in python.parents[2].iterdir()) == [
        key_of(recipe),
        *(f"{key_of(recipe)}.{kind}" for kind in ("json", "lock", "log")),
    ]


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on PATH")
def test_uv_builds_the_same_where_it_is_installed(recipe: EnvironmentRecipe, tmp_path: Path) -> None:
    either = recipe.model_copy(update={"installer": None})
    variables = {**OFFLINE, "UV_OFFLINE": "1"}
    obtain(either, cache=tmp_path, variables=variables, report=lambda _: None, cancelled=threading.Event())
    (entry,) = EnvironmentCache(tmp_path / "environments").entries()
    assert entry.record is not None
    assert entry.record.built.installer == "uv"
    assert {"sglang==1.0", "program==1.0"} <= set(entry.record.built.packages)
    assert "unwanted==1.0" not in entry.record.built.packages


async def test_sglang_is_told_its_place_its_share_and_its_key(python: Path, tmp_path: Path, client: Client) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    gpu = AssignedDevice(index=7, uuid="GPU-7", memory_bytes=80, budget_bytes=20)
    deployment = {"engine": "sglang", "source": str(weights), "options": {"context_length": 4096}}
    blueprint = replace(blueprint_of(deployment, tmp_path, client, python=python), devices=(gpu,))
    running = await start(blueprint, weights)
    try:
        assert (await running.get("/v1/models", key="another")).status == 401
        answer = json.loads((await running.get("/v1/models")).body)
        assert answer["data"] == [{"id": NAME}]
        told = answer["told"]
        assert (told["context_length"], told["mem_fraction_static"], told["api_key"]) == ("4096", "0.25", KEY)
    finally:
        await running.incarnation.stop(1)


async def test_a_command_finds_its_environments_programs_first(python: Path, tmp_path: Path, client: Client) -> None:
    deployment = {"command": ["python", "-m", "program", "{port}"]}
    running = await start(blueprint_of(deployment, tmp_path, client, python=python))
    try:
        assert json.loads((await running.get("/")).body)["prefix"] == str(python.parents[1])
    finally:
        await running.incarnation.stop(1)


def test_one_that_cannot_be_had_is_told_by_pips_last_lines_and_leaves_nothing(tmp_path: Path) -> None:
    recipe = EnvironmentRecipe(requirements=("argosy-has-no-such-package==9",), installer="pip")
    with pytest.raises(BuildError, match=r"pip ended with code 1\. Last lines: .*argosy-has-no-such-package") as caught:
        obtain(recipe, cache=tmp_path, variables=OFFLINE, report=lambda _: None, cancelled=threading.Event())
    assert caught.value.permanent
    assert EnvironmentCache(tmp_path / "environments").entries() == []


def test_a_build_that_is_cancelled_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    cancelled = threading.Event()
    recipe = EnvironmentRecipe(requirements=("anything",), installer="pip")
    with pytest.raises(BuildError, match="was cancelled; nothing was kept"):
        obtain(recipe, cache=tmp_path, variables=OFFLINE, report=lambda _: cancelled.set(), cancelled=cancelled)
    assert EnvironmentCache(tmp_path / "environments").entries() == []


def test_a_python_that_is_not_here_is_named_with_the_ways_to_get_it(tmp_path: Path) -> None:
    recipe = EnvironmentRecipe(python="3.99", requirements=("anything",), installer="pip")
    with pytest.raises(BuildError, match=r"wants Python 3\.99, which is not on PATH: install it, or install uv"):
        obtain(recipe, cache=tmp_path, variables=OFFLINE, report=lambda _: None, cancelled=threading.Event())


def test_commands_show_build_and_remove(argosy: Argosy, python: Path, cache: Path, recipe: EnvironmentRecipe) -> None:
    argosy.variables = {"ARGOSY_CACHE": str(cache)}
    needs = recipe.model_dump(mode="json", exclude_defaults=True)
    program = {"command": ["python", "-m", "program", "{port}"], "environment": "shared"}
    fleet = {"gateway": {"port": 0}, "environments": {"shared": needs}, "deployments": {"mine": program}}
    argosy.file(yaml.safe_dump(fleet))
    assert f"mine: {python.parents[1]}" in argosy.run("env", "build").stdout
    argosy.run("up", "-d")
    assert "fleet/mine" in argosy.run("env", "ls").stdout
    assert "is used by fleet/mine" in argosy.run("env", "rm", key_of(recipe), code=2).stderr
    argosy.run("down")
    assert python.exists()
    assert sys.executable != str(python)
