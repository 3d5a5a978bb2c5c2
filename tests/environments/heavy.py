"""Real engines in real environments: how a test gets one, and how several tests share a server that takes a minute."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from contract import EngineContract, Running, blueprint_of, start

from argosy.config.environment import Environment
from argosy.config.recipe import EnvironmentRecipe
from argosy.environments.build import obtain
from argosy.environments.cache import EnvironmentCache
from argosy.wire.client import Client

BUILD = os.environ.get("ARGOSY_TEST_ENGINES") == "build"
ENVIRONMENT = Environment.read(os.environ)


def python_of(recipe: EnvironmentRecipe) -> Path:
    """Its Python, built when `make test-engines` runs; else the test is skipped where it is not there."""
    if BUILD:
        return obtain(
            recipe,
            cache=ENVIRONMENT.cache,
            variables=ENVIRONMENT.for_others(),
            report=lambda _: None,
            cancelled=threading.Event(),
        )
    found = EnvironmentCache(ENVIRONMENT.cache / "environments").find(recipe)
    if found is None:
        pytest.skip(f"the environment of {recipe} is not built: make test-engines")
    return found


@pytest.mark.asyncio(loop_scope="class")
class HeavyContract(EngineContract):
    """The contract with one server for all tests that leave it alive."""

    death_seconds = 30.0  # gigabytes are given back

    @pytest.fixture
    def python(self) -> Path:
        raise NotImplementedError("a class per engine says what it runs in")

    @pytest_asyncio.fixture(loop_scope="class")
    async def running(
        self,
        deployment: dict[str, Any],
        path: Path,
        python: Path,
        kept: list[Running],
        lasting_client: Client,
        tmp_path: Path,
    ) -> Running:
        """The one that serves already, else a new one."""
        if not kept or not psutil.pid_exists(kept[-1].pid):
            blueprint = blueprint_of(deployment, tmp_path, lasting_client, python=python)
            kept.append(await start(blueprint, path))
        return kept[-1]
