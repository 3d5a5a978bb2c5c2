"""What a worker may rely on with every engine. A test class per engine inherits it and names its deployment."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from argosy.config.schema import Deployment
from argosy.engines import catalog
from argosy.errors import EngineError
from argosy.processes.identity import ProcessIdentity, wait_gone
from argosy.protocol.endpoints import CHAT, COMPLETIONS, EMBEDDINGS
from argosy.wire.client import Answer, Client
from argosy.wire.sse import SseDecoder
from argosy.worker.incarnation import Blueprint, Incarnation, Patience
from argosy.worker.reservations import Reservations

KEY = "the-key-of-this-incarnation"
NAME = "org/model"


def blueprint_of(
    deployment: Mapping[str, Any],
    folder: Path,
    client: Client,
    patience: Patience | None = None,
    *,
    python: Path = Path(sys.executable),
) -> Blueprint:
    checked = Deployment.model_validate(deployment)
    return Blueprint(
        replica=f"{NAME}.0",
        name=NAME,
        deployment=checked,
        engine=catalog.engine(checked.engine_name),
        log=folder / "replica.log",
        record=folder / "engine.json",
        address_file=folder / "address",
        variables=dict(os.environ),
        client=client,
        reservations=Reservations(folder / "memory", "test"),
        patience=patience or Patience(),
        python=python,
    )


@dataclass
class Running:
    """A ready engine, and how to talk to it."""

    blueprint: Blueprint
    incarnation: Incarnation
    client: Client
    pid: int

    async def get(self, path: str, key: str = KEY) -> Answer:
        headers = {"authorization": f"Bearer {key}"}
        return await self.client.request("GET", f"{self.incarnation.address}{path}", headers=headers, seconds=10)

    async def post(self, path: str, **fields: Any) -> Any:
        body = json.dumps({"model": NAME, **fields}).encode()
        answer = await self.client.request(
            "POST", f"{self.incarnation.address}{path}", headers=self.headers, body=body, seconds=60
        )
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    async def stream(self, path: str, **fields: Any) -> list[Any]:
        """The data of every event; the last must be [DONE]."""
        body, decoder, said = json.dumps({"model": NAME, "stream": True, **fields}).encode(), SseDecoder(), []
        async with self.client.stream(
            "POST", f"{self.incarnation.address}{path}", headers=self.headers, body=body, seconds=60
        ) as answer:
            assert answer.status == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for chunk in answer.chunks():
                said += [event.data for event in decoder.feed(chunk)]
        assert said.pop() == "[DONE]"
        return [json.loads(data) for data in said]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


async def start(blueprint: Blueprint, path: Path | None = None) -> Running:
    pids: list[int] = []
    incarnation = await Incarnation.start(blueprint, path, KEY, pids.append)
    return Running(blueprint, incarnation, blueprint.client, pids[-1])


class EngineContract:
    """Claims about an engine that serves a model under the deployment's name."""

    death_seconds = 2.0  # until the death of its process is told, and all below it is gone

    @pytest.fixture
    def deployment(self) -> dict[str, Any]:
        raise NotImplementedError("a class per engine says what it deploys")

    @pytest.fixture
    def path(self) -> Path | None:
        return None

    @pytest.fixture
    async def client(self) -> AsyncIterator[Client]:
        made = Client()
        yield made
        await made.close()

    @pytest.fixture
    async def running(
        self, deployment: dict[str, Any], path: Path | None, tmp_path: Path, client: Client
    ) -> AsyncIterator[Running]:
        made = await start(blueprint_of(deployment, tmp_path, client), path)
        yield made
        await made.incarnation.stop(0.5)

    async def test_it_is_ready_on_loopback_under_the_deployments_name(self, running: Running) -> None:
        assert running.incarnation.address.startswith("http://127.0.0.1:")
        models = json.loads((await running.get("/v1/models")).body)
        assert [model["id"] for model in models["data"]] == [NAME]

    async def test_it_wants_its_key_and_shows_it_to_nobody(self, running: Running) -> None:
        assert (await running.get("/v1/models", key="another")).status == 401
        assert KEY not in " ".join(psutil.Process(running.pid).cmdline())

    async def test_it_serves_every_path_it_claims(self, running: Running) -> None:
        paths = running.blueprint.engine.capabilities(running.blueprint.deployment).paths
        if CHAT in paths:
            chat = {"messages": [{"role": "user", "content": "Say a few words."}], "max_tokens": 4}
            answer = await running.post(CHAT, **chat)
            assert answer["choices"][0]["message"]["content"]
            assert answer["usage"]["completion_tokens"] > 0
            events = await running.stream(CHAT, **chat, stream_options={"include_usage": True})
            assert {event["model"] for event in events} == {NAME}
            assert "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])
            assert any((event.get("usage") or {}).get("completion_tokens") for event in events)
        if COMPLETIONS in paths:
            answer = await running.post(COMPLETIONS, prompt="One two three", max_tokens=4)
            assert answer["choices"][0]["text"]
            assert await running.stream(COMPLETIONS, prompt="One two three", max_tokens=4)
        if EMBEDDINGS in paths:
            answer = await running.post(EMBEDDINGS, input=["a ship", "a fleet"])
            first, second = (row["embedding"] for row in answer["data"])
            assert len(first) == len(second) > 1
            assert first != second

    async def test_its_death_is_noticed_and_told_in_a_sentence(self, running: Running) -> None:
        watching = asyncio.create_task(running.incarnation.watch())
        os.kill(running.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match=f"{NAME}.0 was killed by SIGKILL, not by Argosy: probably by the kernel"):
            await asyncio.wait_for(watching, self.death_seconds)

    async def test_a_stop_leaves_nothing(self, running: Running) -> None:
        members = [ProcessIdentity.of(running.pid)]
        members += [ProcessIdentity.of(child.pid) for child in psutil.Process(running.pid).children(recursive=True)]
        await running.incarnation.stop(5)
        assert wait_gone(members, 0) == []
        assert not running.blueprint.record.exists()
