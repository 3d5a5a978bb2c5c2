import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from contract import EngineContract, Running, blueprint_of, start
from projector import PATCHES, picture, projector

from argosy.errors import EngineError
from argosy.protocol.endpoints import CHAT
from argosy.state import read_json
from argosy.wire.client import Client
from argosy.worker.reservations import Reservation

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
    with pytest.raises(EngineError, match="is no GGUF file: it does not begin with the letters GGUF") as caught:
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
    blueprint = blueprint_of(deployment, tmp_path, client)
    with pytest.raises(EngineError) as caught:
        await start(blueprint, smollm2)
    assert re.search(
        r"needs at least \d+\.\d GiB of memory \(weights 0\.09, cache \d+\.\d\) and \d+\.\d GiB are available here: "
        r"would fit: context \d+ with 256 slots, or context \d+ with \d+ slots?",
        str(caught.value),
    )
    assert caught.value.permanent
    assert not list(blueprint.reservations.folder.glob("*.json"))


async def test_an_engines_memory_is_reserved_for_as_long_as_it_is_there(
    smollm2: Path, tmp_path: Path, client: Client
) -> None:
    deployment = {"source": str(smollm2), "options": {"context": 512, "slots": 1, "gpu_layers": 0}}
    running = await start(blueprint_of(deployment, tmp_path, client), smollm2)
    (file,) = running.blueprint.reservations.folder.glob("*.json")
    reserved = read_json(file, Reservation)
    assert reserved is not None
    assert reserved.weights_bytes == smollm2.stat().st_size  # noqa: ASYNC240
    taken = psutil.Process(running.pid).memory_info()
    assert 0 < reserved.cache_bytes < taken.rss - taken.shared, "the cache is a lower bound of what it takes"
    await running.incarnation.stop(0.5)
    assert not file.exists()


class TestAChatTemplateOfItsOwn:
    """`{"chat_template": …}` instead of the model's: seen by what the engine makes of messages."""

    async def test_messages_become_what_it_says(self, smollm2: Path, tmp_path: Path, client: Client) -> None:
        template = "AHOY {% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<answer>"
        long_comment = "{# " + "x" * 200_000 + " #}"  # more than one argument of a command line holds
        deployment = {"source": str(smollm2), "options": {"context": 512, "slots": 1}}
        chat = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
        running = await start(
            blueprint_of({**deployment, "chat_template": long_comment + template}, tmp_path, client), smollm2
        )
        try:
            assert (await running.post("/apply-template", **chat))["prompt"] == "AHOY <user>hi<answer>"
            tokens = (await running.post("/tokenize", content="AHOY <user>hi<answer>"))["tokens"]
            assert (await running.post(CHAT, **chat))["usage"]["prompt_tokens"] == len(tokens)
        finally:
            await running.incarnation.stop(0.5)

    async def test_one_that_is_no_jinja_is_told_in_llama_cpps_words(
        self, smollm2: Path, tmp_path: Path, client: Client
    ) -> None:
        deployment = {"source": str(smollm2), "chat_template": "{% for m in messages %}{{ m.role }"}
        with pytest.raises(EngineError, match=r"exited with code 1 .* Last lines: .* own chat_template:"):
            await start(blueprint_of(deployment, tmp_path, client), smollm2)


async def test_a_draft_model_guesses_and_the_answer_is_the_same(smollm2: Path, tmp_path: Path, client: Client) -> None:
    options = {"context": 512, "slots": 1, "draft_model": str(smollm2), "draft_tokens": 4}
    blueprint = blueprint_of({"source": str(smollm2), "options": options}, tmp_path, client)
    running = await start(replace(blueprint, companions={"draft_model": smollm2}), smollm2)
    try:
        ask = {"messages": [{"role": "user", "content": "Name three colors."}], "max_tokens": 12, "temperature": 0}
        answer = await running.post(CHAT, **ask)
        assert answer["choices"][0]["message"]["content"] == "1. Red\n2. Blue\n3. Green"
        assert answer["timings"]["draft_n_accepted"] > 0
    finally:
        await running.incarnation.stop(0.5)


async def test_with_a_projector_an_image_is_read_as_tokens(smollm2: Path, tmp_path: Path, client: Client) -> None:
    file = projector(tmp_path / "mmproj.gguf")
    options = {"context": 512, "slots": 1, "projector": str(file)}
    blueprint = blueprint_of({"source": str(smollm2), "options": options}, tmp_path, client)
    running = await start(replace(blueprint, companions={"projector": file}), smollm2)
    try:
        text = [{"type": "text", "text": "What is this?"}]
        image = [{"type": "image_url", "image_url": {"url": picture()}}]
        read = [
            (await running.post(CHAT, messages=[{"role": "user", "content": content}], max_tokens=1))["usage"]
            for content in (text, [*text, *image])
        ]
        assert read[1]["prompt_tokens"] - read[0]["prompt_tokens"] == PATCHES
    finally:
        await running.incarnation.stop(0.5)


async def test_a_parameter_that_llama_cpp_does_not_have_is_told_with_the_one_that_is_meant(
    smollm2: Path, tmp_path: Path, client: Client
) -> None:
    deployment = {"source": str(smollm2), "options": {"extra_args": {"n_kep": 8}}}
    with pytest.raises(EngineError, match=r"llama.cpp has no parameter 'n_kep'; did you mean n_keep\?"):
        await start(blueprint_of(deployment, tmp_path, client), smollm2)
