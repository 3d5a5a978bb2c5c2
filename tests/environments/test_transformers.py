"""The engine transformers in real environments: the newest that it was tested with, and one of 2023."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from contract import Running
from heavy import HeavyContract, python_of
from recipes import OLD_TRANSFORMERS

import models
from argosy.engines.transformers import ENVIRONMENT
from argosy.protocol.endpoints import CHAT, COMPLETIONS, EMBEDDINGS

ASK = [{"role": "user", "content": "Name three colors."}]


@pytest.fixture(scope="session")
def new_python() -> Path:
    return python_of(ENVIRONMENT)


@pytest.fixture(scope="session")
def old_python() -> Path:
    return python_of(OLD_TRANSFORMERS)


@pytest.fixture(scope="session")
def tiny_of_2023(old_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.tiny(old_python, tmp_path_factory.mktemp("tiny") / "model")


class TestTransformers(HeavyContract):
    @pytest.fixture
    def python(self, new_python: Path) -> Path:
        return new_python

    @pytest.fixture
    def path(self, smollm2: Path, new_python: Path) -> Path:
        return models.smollm2_folder(smollm2, new_python)

    @pytest.fixture
    def deployment(self, path: Path) -> dict[str, Any]:
        return {"engine": "transformers", "source": str(path)}

    async def test_a_stop_word_ends_the_answer_and_is_not_in_it(self, running: Running) -> None:
        answer = await running.post(CHAT, messages=ASK, max_tokens=40, temperature=0, stop=["Blue"])
        assert answer["choices"][0]["message"]["content"] == "1. Red\n2. "
        assert answer["choices"][0]["finish_reason"] == "stop"

    async def test_a_bound_is_a_length(self, running: Running) -> None:
        answer = await running.post(CHAT, messages=ASK, max_tokens=3, temperature=0)
        assert answer["choices"][0]["finish_reason"] == "length"
        assert answer["usage"]["completion_tokens"] == 3

    async def test_a_seed_makes_it_the_same_again_and_choices_differ(self, running: Running) -> None:
        fields = {"messages": ASK, "max_tokens": 12, "seed": 7, "n": 2, "temperature": 1.5}
        first, second = await running.post(CHAT, **fields), await running.post(CHAT, **fields)
        said = [choice["message"]["content"] for choice in first["choices"]]
        assert said == [choice["message"]["content"] for choice in second["choices"]]
        assert said[0] != said[1]

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"messages": [{"role": "user", "content": "word " * 9000}]}, "maximum context length is 8192"),
            ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "reads text only"),
            ({"messages": ASK, "tools": [{}]}, "'tools' is nothing"),
        ],
    )
    async def test_bad_input_is_refused_with_a_reason(
        self, running: Running, fields: dict[str, Any], told: str
    ) -> None:
        answer = await running.client.request(
            "POST",
            f"{running.incarnation.address}{CHAT}",
            headers=running.headers,
            body=json.dumps(fields).encode(),
            seconds=20,
        )
        assert answer.status == 400
        assert told in json.loads(answer.body)["error"]["message"]


class TestEmbeddings(HeavyContract):
    @pytest.fixture
    def python(self, new_python: Path) -> Path:
        return new_python

    @pytest.fixture
    def path(self) -> Path:
        return models.minilm()

    @pytest.fixture
    def deployment(self, path: Path) -> dict[str, Any]:
        return {"engine": "transformers", "source": str(path), "task": "embed"}

    async def test_what_is_alike_lies_close(self, running: Running) -> None:
        answer = await running.post(EMBEDDINGS, input=["a ship", "a fleet of ships", "quantum fields"])
        ship, fleet, fields = (row["embedding"] for row in answer["data"])
        assert len(ship) == 384
        assert _dot(ship, ship) == pytest.approx(1, abs=1e-4), "the model's folder asks for length 1"
        assert _dot(ship, fleet) > 0.6 > 0.3 > _dot(ship, fields)

    async def test_a_batch_is_what_each_is_alone(self, running: Running) -> None:
        texts = ["a ship", "a much longer text about a fleet of merchant ships under one flag"]
        together = (await running.post(EMBEDDINGS, input=texts))["data"]
        alone = (await running.post(EMBEDDINGS, input=texts[0]))["data"]
        assert _dot(together[0]["embedding"], alone[0]["embedding"]) == pytest.approx(1, abs=1e-4)


class TestATransformersOf2023(HeavyContract):
    @pytest.fixture
    def python(self, old_python: Path) -> Path:
        return old_python

    @pytest.fixture
    def path(self, tiny_of_2023: Path) -> Path:
        return tiny_of_2023

    @pytest.fixture
    def deployment(self, path: Path) -> dict[str, Any]:
        template = "{% for message in messages %}{{ message.content }}{% endfor %}"
        return {"engine": "transformers", "source": str(path), "chat_template": template}

    async def test_penalties_and_several_prompts(self, running: Running) -> None:
        answer = await running.post(COMPLETIONS, prompt=["One", "Two"], max_tokens=4, frequency_penalty=1.5, seed=1)
        assert [choice["index"] for choice in answer["choices"]] == [0, 1]
        assert answer["usage"] == {"prompt_tokens": 6, "completion_tokens": 8, "total_tokens": 14}


def _dot(first: list[float], second: list[float]) -> float:
    return sum(one * other for one, other in zip(first, second, strict=True))
