"""The README's promise with a real model: one door, several engines, the official client."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import openai
import pytest

from argosy.protocol.heartbeat import engine_key
from argosy.protocol.replica import ReplicaStatus
from argosy.state import read_json
from command import Argosy
from waiting import until

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


def test_a_client_that_leaves_frees_the_engines_slot(argosy: Argosy, smollm2: Path) -> None:
    argosy.run(
        "up",
        "-d",
        argosy.file(
            f"""
gateway: {{port: 0}}
deployments:
  smollm2: {{source: {smollm2}, options: {{context: 4096, slots: 1, threads: 1}}}}
"""
        ),
    )
    slots = Slots(argosy, "smollm2.0")
    endless = {"model": "smollm2", "messages": [{"role": "user", "content": "Count."}], "max_tokens": 4000}
    with client(argosy) as ai:
        stream = ai.chat.completions.create(**endless, stream=True, extra_body={"ignore_eos": True})
        next(iter(stream))
        until(slots.busy)
        stream.close()
        until(lambda: not slots.busy(), seconds=1)
        with pytest.raises(openai.APITimeoutError):
            ai.chat.completions.create(**endless, extra_body={"ignore_eos": True}, timeout=1)
    # llama.cpp looks for a plain request's client once a second, unless any other answer comes in between: ask seldom.
    until(lambda: not slots.busy(), seconds=6, every=1.5)
    argosy.run("down")


class Slots:
    """What an engine of llama.cpp itself says of its slots."""

    def __init__(self, argosy: Argosy, replica: str) -> None:
        folder = argosy.fleet()
        status = read_json(folder.replica(replica).status, ReplicaStatus)
        assert status is not None and status.address is not None
        key = engine_key(folder.secret("join_token") or "", replica, status.epoch)
        self._request = urllib.request.Request(f"{status.address}/slots", headers={"authorization": f"Bearer {key}"})

    def busy(self) -> bool:
        with urllib.request.urlopen(self._request) as answer:
            return any(slot["is_processing"] for slot in json.load(answer))
