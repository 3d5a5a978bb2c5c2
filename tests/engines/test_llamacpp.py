import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from contract import EngineContract, Running, blueprint_of, start

from argosy.engines.base import CHAT
from argosy.errors import EngineError
from argosy.wire.client import Client

pytestmark = pytest.mark.model


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    await made.close()


class TestLlamaCpp(EngineContract):
    @pytest.fixture
    def deployment(self, smollm2: Path) -> dict[str, Any]:
        return {"source": str(smollm2), "options": {"context": 512, "slots": 2}}

    @pytest.fixture
    def path(self, smollm2: Path) -> Path:
        return smollm2

    async def test_the_context_is_per_request_however_many_slots_share_the_memory(self, running: Running) -> None:
        slots = json.loads((await running.get("/slots")).body)
        assert [slot["n_ctx"] for slot in slots] == [512, 512]
        body = json.dumps({"messages": [{"role": "user", "content": "word " * 600}]}).encode()
        url = f"{running.incarnation.address}{CHAT}"
        answer = await running.client.request("POST", url, headers=running.headers, body=body, seconds=30)
        assert answer.status == 400


class TestLlamaCppEmbeddings(EngineContract):
    @pytest.fixture
    def deployment(self, smollm2: Path) -> dict[str, Any]:
        return {"source": str(smollm2), "task": "embed", "options": {"context": 256, "slots": 2}}

    @pytest.fixture
    def path(self, smollm2: Path) -> Path:
        return smollm2


async def test_a_file_that_is_no_model_is_refused_before_the_start(tmp_path: Path, client: Client) -> None:
    wrong = tmp_path / "model.gguf"
    wrong.write_text("<html>")
    with pytest.raises(EngineError, match="is no GGUF file: it begins with b'<htm'") as caught:
        await start(blueprint_of({"source": str(wrong)}, tmp_path, client), wrong)
    assert caught.value.permanent


async def test_a_model_that_llama_cpp_cannot_load_is_told_by_its_last_lines(
    smollm2: Path, tmp_path: Path, client: Client
) -> None:
    cut = tmp_path / "model.gguf"
    with smollm2.open("rb") as whole:
        cut.write_bytes(whole.read(4 * 1024 * 1024))
    with pytest.raises(EngineError, match=r"exited with code 1 before it was ready\. Last lines: .*llama.cpp cannot"):
        await start(blueprint_of({"source": str(cut)}, tmp_path, client), cut)


async def test_more_memory_than_there_is_is_refused_with_both_numbers(
    smollm2: Path, tmp_path: Path, client: Client
) -> None:
    deployment = {"source": str(smollm2), "options": {"context": 1 << 22, "slots": 256, "gpu_layers": 0}}
    with pytest.raises(
        EngineError, match=r"needs at least \d+\.\d GiB of memory and \d+\.\d GiB are available"
    ) as caught:
        await start(blueprint_of(deployment, tmp_path, client), smollm2)
    assert caught.value.permanent
