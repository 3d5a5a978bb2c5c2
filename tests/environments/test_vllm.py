"""vLLM itself, built for CPUs: the contract, and LoRA adapters as models of their own name."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract import NAME, Running, blueprint_of, start
from heavy import HeavyContract, python_of

import models
from argosy.engines import catalog
from argosy.engines.base import EngineContext
from argosy.engines.transformers import ENVIRONMENT
from argosy.engines.vllm import CPU_ENVIRONMENT
from argosy.protocol.endpoints import CHAT
from argosy.wire.client import Client

OPTIONS = {"max_model_len": 512, "max_num_seqs": 4, "dtype": "bfloat16", "cpu_cache_gib": 1}
ASK = [{"role": "user", "content": "Name three colors."}]


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    return python_of(CPU_ENVIRONMENT)


@pytest.fixture(scope="session")
def folder(smollm2: Path) -> Path:
    return models.smollm2_folder(smollm2, python_of(ENVIRONMENT))


class TestVllm(HeavyContract):
    @pytest.fixture
    def python(self, vllm_python: Path) -> Path:
        return vllm_python

    @pytest.fixture
    def path(self, folder: Path) -> Path:
        return folder

    @pytest.fixture
    def deployment(self, path: Path) -> dict[str, Any]:
        return {"engine": "vllm", "source": str(path), "options": OPTIONS}

    async def test_an_answer_is_bound_to_a_schema(self, running: Running) -> None:
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        answer = await running.post(CHAT, messages=ASK, max_tokens=100, temperature=0, response_format=form)
        assert isinstance(json.loads(answer["choices"][0]["message"]["content"])["a"], int)

    async def test_its_cache_takes_what_the_plan_reckons_with(self, running: Running, path: Path) -> None:
        """By its own word: so many tokens in the GiB that it was given."""
        context = EngineContext(NAME, running.blueprint.deployment, path, "", 0, Path())
        need = catalog.engine("vllm").memory(context, on_gpu=True)
        assert need is not None
        told = re.search(r"KV cache size: ([\d,]+) tokens", running.blueprint.log.read_text())
        assert told, "it says how many tokens its cache holds"
        assert int(told[1].replace(",", "")) * need.cache_bytes_per_token == pytest.approx(1 << 30, rel=0.01)

    @pytest.mark.parametrize(
        ("fields", "status"), [({"model": "another"}, 404), ({"temperature": 99}, 400), ({"max_tokens": 5000}, 400)]
    )
    async def test_bad_input_is_refused(self, running: Running, fields: dict[str, Any], status: int) -> None:
        answer = await running.client.request(
            "POST",
            f"{running.incarnation.address}{CHAT}",
            headers=running.headers,
            body=json.dumps({"model": NAME, "messages": ASK, **fields}).encode(),
            seconds=20,
        )
        assert answer.status == status


async def test_an_adapter_is_a_model_of_its_own_name(vllm_python: Path, folder: Path, tmp_path: Path) -> None:
    sources = {
        "the-same": models.adapter(vllm_python, folder, tmp_path / "same", strength=0),
        "another": models.adapter(vllm_python, folder, tmp_path / "another", strength=1),
    }
    options = {**OPTIONS, "adapters": {name: str(source) for name, source in sources.items()}}
    deployment = {"engine": "vllm", "source": str(folder), "options": options}
    client = Client()
    blueprint = replace(blueprint_of(deployment, tmp_path, client, python=vllm_python), companions=sources)
    running = await start(blueprint, folder)
    try:
        said = {}
        for model in (NAME, *sources):
            answer = await running.post(CHAT, model=model, messages=ASK, max_tokens=12, temperature=0)
            assert answer["model"] == model
            said[model] = answer["choices"][0]["message"]["content"]
        assert said["the-same"] == said[NAME] != said["another"]
    finally:
        await running.incarnation.stop(5)
        await client.close()
