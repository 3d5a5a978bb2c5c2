"""The README's promise with a real model: one door, several engines, the official client."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest

from command import Argosy

pytestmark = pytest.mark.model


def client(argosy: Argosy) -> openai.OpenAI:
    return openai.OpenAI(base_url=argosy.ps()["gateways"][0]["address"] + "/v1", api_key="none", max_retries=0)


def test_two_replicas_of_a_real_model_answer_in_turn(argosy: Argosy, smollm2: Path) -> None:
    argosy.run(
        "up",
        "-d",
        argosy.file(
            f"""
gateway: {{port: 0}}
deployments:
  smollm2: {{source: {smollm2}, replicas: 2, aliases: [gpt-3.5-turbo], options: {{context: 512, slots: 2, threads: 1}}}}
"""
        ),
    )
    with client(argosy) as ai:
        for _ in range(2):
            with ai.chat.completions.create(
                model="gpt-3.5-turbo",
                messages=[{"role": "user", "content": "What is the capital of France?"}],
                temperature=0,
                max_tokens=16,
                stream=True,
            ) as stream:
                chunks = list(stream)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices).strip()
            assert {chunk.model for chunk in chunks} == {"smollm2"}
        assert ai.models.retrieve("gpt-3.5-turbo").model_extra["root"] == "smollm2"
    log = argosy.run("logs", "gateway").stdout
    assert {f"replica=smollm2.{n}" for n in (0, 1)} <= set(log.split()), log
    argosy.run("down")


def test_one_door_for_chat_embeddings_a_remote_and_an_echo(argosy: Argosy, smollm2: Path, tmp_path: Path) -> None:
    upstream = Argosy(tmp_path / "upstream-home", argosy.folder)
    upstream.run("up", "-d", argosy.file("gateway: {port: 0}\ndeployments:\n  theirs: {engine: echo}", "upstream.yaml"))
    url = upstream.ps()["gateways"][0]["address"]
    try:
        argosy.run(
            "up",
            "-d",
            argosy.file(
                f"""
gateway: {{port: 0}}
deployments:
  org/smollm2: {{source: {smollm2}, options: {{context: 512, slots: 2, threads: 1}}}}
  vectors: {{source: {smollm2}, task: embed, aliases: [text-embedding-ada-002], options: {{context: 512, slots: 2}}}}
  upstream: {{engine: remote, urls: [{url}/v1], model: theirs}}
  fake: {{engine: echo}}
"""
            ),
        )
        with client(argosy) as ai:
            assert {model.id for model in ai.models.list()} == {
                *("org/smollm2", "vectors", "upstream", "fake", "text-embedding-ada-002"),
            }
            for model in ("org/smollm2", "upstream", "fake"):
                said = ai.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": "你好，世界"}], max_tokens=8
                )
                assert said.choices[0].message.content and said.usage and said.usage.completion_tokens
            one, two = ai.embeddings.create(model="text-embedding-ada-002", input=["a cat", "一只猫"]).data
            assert len(one.embedding) == len(two.embedding) == 576 and one.embedding != two.embedding
            assert ai.completions.create(model="org/smollm2", prompt="Once upon", max_tokens=4).choices[0].text
        argosy.run("down")
    finally:
        upstream.run("down")
        upstream.end()
