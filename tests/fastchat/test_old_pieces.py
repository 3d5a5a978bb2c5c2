"""The real FastChat 0.2.36: its worker behind our door, our worker at its controller. `make test-fastchat` runs it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from old import Old
from package import package

from argosy.worker.probe import free_port
from command import Argosy
from waiting import until

pytestmark = pytest.mark.model
NAME = "smollm2"
ASKED: dict[str, Any] = {
    "model": NAME,
    "messages": [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "What is the capital of France?"},
    ],
    "temperature": 0,
    "max_tokens": 8,
}


@pytest.fixture
def old(smollm2: Path, tmp_path: Path) -> Old:
    folder = tmp_path / "fastchat"
    folder.mkdir()
    return Old(package(smollm2), folder)


@pytest.fixture
def controller(argosy: Argosy) -> Iterator[str]:
    """Our listener, in a fleet that serves nothing itself."""
    text = 'gateway: {port: 0}\nfastchat: {listen: "127.0.0.1:0"}\ndeployments:\n  hello: {engine: echo}\n'
    argosy.run("up", "-d", argosy.file(text))
    found = until(lambda: (argosy.ps().get("fastchat") or {}).get("address"), what="the listener listens")
    yield found
    argosy.run("down", "--now")


def models(ai: openai.OpenAI) -> list[str]:
    return sorted(model.id for model in ai.models.list())


def test_an_old_worker_is_chatted_with_through_our_door(argosy: Argosy, old: Old, controller: str) -> None:
    door = argosy.ps()["gateways"][0]["address"] + "/v1"
    with (
        openai.OpenAI(base_url=door, api_key="none", max_retries=0) as ai,
        old.worker(controller, NAME) as (address, running),
    ):
        until(lambda: NAME in models(ai), seconds=20, what="the worker has registered")
        plain = ai.chat.completions.create(**ASKED)
        assert plain.choices[0].message.content
        assert plain.usage is not None
        assert plain.usage.completion_tokens > 0
        with ai.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True}) as stream:
            chunks = list(stream)
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert said == plain.choices[0].message.content
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
        assert chunks[-1].usage is not None

        # FastChat's own tools
        assert "Assistant:" in old.run(
            "test_message", "--controller-address", controller, "--model-name", NAME, "--max-new-tokens", "4"
        )
        throughput = ["--model-name", NAME, "--n-thread", "2", "--max-new-tokens", "4"]
        assert "throughput:" in old.run("test_throughput", "--controller-address", controller, *throughput)
        old.run("register_worker", "--controller-address", controller, "--worker-name", address)

        # A dead worker is out long before its heartbeats are missed.
        running.kill()
        killed = time.monotonic()
        until(lambda: argosy.replicas_now()[_replica(argosy)]["state"] != "ready", seconds=10)
        assert time.monotonic() - killed < 10


def test_our_worker_is_served_by_an_old_controller_and_its_api_server(argosy: Argosy, old: Old, smollm2: Path) -> None:
    port, api = free_port(), free_port()
    where = ["--host", "127.0.0.1"]
    url = f"http://127.0.0.1:{port}"
    with old.process("controller", *where, ready="/test_connection", port=port):
        worker = ["worker", str(smollm2), "--name", NAME, "--fastchat-controller", url, "-o", "threads=1"]
        with argosy.attached(*worker) as ours:
            until(lambda: _post(f"{url}/list_models")["models"] == [NAME], seconds=60, what="it registers")
            words = [*where, "--controller-address", url]
            with (
                old.process("openai_api_server", *words, ready="/v1/models", port=api),
                openai.OpenAI(base_url=f"http://127.0.0.1:{api}/v1", api_key="none", max_retries=0) as ai,
            ):
                plain = ai.chat.completions.create(**ASKED)
                assert "Paris" in (plain.choices[0].message.content or "")
                with ai.chat.completions.create(**ASKED, stream=True) as stream:
                    parts = [chunk.choices[0].delta.content or "" for chunk in stream]
                assert "".join(parts) == plain.choices[0].message.content
            assert ours.poll() is None
            out = old.run("test_message", "--controller-address", url, "--model-name", NAME, "--max-new-tokens", "4")
            assert "Assistant:" in out


def _replica(argosy: Argosy) -> str:
    return next(each for each in argosy.replicas_now() if each.startswith(f"{NAME}."))


def _post(url: str) -> Any:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=b"{}", method="POST"), timeout=5) as answer:
            return json.load(answer)
    except urllib.error.URLError as error:
        return {"models": str(error)}
