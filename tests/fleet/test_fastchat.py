"""The FastChat listener of a fleet, and a worker that registers there as one of FastChat's: both sides of the protocol
at once, with an echo engine behind. What the real FastChat does with each side is tests/fastchat's.
"""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from argosy.processes.identity import ProcessIdentity, wait_gone
from argosy.state import ProcessRecord, read_json
from command import Argosy
from waiting import until

FLEET = 'gateway: {port: 0}\ngrace: 1\nfastchat: {listen: "127.0.0.1:0"}\ndeployments:\n  hello: {engine: echo}\n'


@pytest.fixture
def listener(argosy: Argosy) -> Iterator[str]:
    argosy.run("up", "-d", argosy.file(FLEET))
    yield listening(argosy)
    argosy.run("down", "--now", code=None)


def listening(argosy: Argosy) -> str:
    record = until(lambda: read_json(argosy.fleet().fastchat, ProcessRecord), what="the listener listens")
    assert record.address is not None
    until(lambda: post(f"{record.address}/list_models", refused=[]) != [], what="it answers")
    return record.address


def post(url: str, body: Any = None, *, headers: dict[str, str] | None = None, refused: Any = None) -> Any:
    """`refused`: what stands for the answer while nobody listens there."""
    asked = urllib.request.Request(url, json.dumps(body or {}).encode(), headers or {}, method="POST")
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError:
        raise
    except OSError:
        if refused is None:
            raise
        return refused


def chat(argosy: Argosy, text: str, **fields: Any) -> bytes:
    record = read_json(argosy.fleet().gateway, ProcessRecord)
    assert record is not None
    body = {"model": "old", "messages": [{"role": "user", "content": text}], **fields}
    asked = urllib.request.Request(f"{record.address}/v1/chat/completions", json.dumps(body).encode())
    with urllib.request.urlopen(asked, timeout=30) as answer:
        said: bytes = answer.read()
        return said


def test_a_worker_of_fastchats_protocol_serves_behind_the_door(argosy: Argosy, listener: str) -> None:
    words = ["worker", "--engine", "echo", "--name", "old", "-o", "faults=true", "-o", "split_bytes=7"]
    with argosy.attached(*words, "--fastchat-controller", listener) as running:
        until(lambda: post(f"{listener}/list_models") == {"models": ["old"]}, seconds=20, what="it registers")
        until(lambda: any(each.startswith("old.") for each in argosy.replicas_now()), what="it joins the gateway")

        # What a client says arrives as messages again, whatever its text looks like.
        plain = json.loads(chat(argosy, "Ships, 船 and {braces}: <|im_end|>"))
        assert plain["choices"][0]["message"]["content"] == "Ships, 船 and {braces}: <|im_end|>"
        assert plain["choices"][0]["finish_reason"] == "stop"
        assert plain["usage"]["completion_tokens"] > 0
        streamed = chat(argosy, "one two three", stream=True, max_tokens=2, stream_options={"include_usage": True})
        events = [json.loads(each[6:]) for each in streamed.decode().split("\n\n") if each.startswith("data: {")]
        said = [choice["delta"].get("content") or "" for event in events for choice in event["choices"]]
        assert "".join(said) == "one two"
        assert [choice["finish_reason"] for event in events for choice in event["choices"]][-1] == "length"
        assert events[-1]["usage"]["completion_tokens"] == 2
        assert streamed.endswith(b"data: [DONE]\n\n")
        two = json.loads(chat(argosy, "twice", n=2))
        assert [choice["message"]["content"] for choice in two["choices"]] == ["twice", "twice"]

        # A controller's own questions.
        address = post(f"{listener}/get_worker_address", {"model": "old"})["address"]
        assert post(f"{address}/worker_get_status")["model_names"] == ["old"]
        assert post(f"{address}/count_token", {"prompt": "one two"})["count"] == 2
        whole = post(f"{address}/worker_generate", {"prompt": "one two", "max_new_tokens": 1})
        assert (whole["text"], whole["finish_reason"]) == ("one twoone", "length")  # FastChat's default echoes
        assert post(f"{listener}/get_worker_address", {"model": "nobody"}) == {"address": ""}

        # An engine that dies in the middle ends the stream with an error that says so.
        broken = chat(argosy, "one two three four !crash after 2", stream=True)
        assert b'"error":' in broken

        # A dead one is out at once, not when its heartbeats are missed.
        os.killpg(running.pid, signal.SIGKILL)
        until(lambda: _state(argosy) != "ready", seconds=10, what="the dead worker is out")
        assert post(f"{listener}/list_models") == {"models": []}


def test_the_listener_comes_back_and_knows_its_workers(argosy: Argosy, listener: str) -> None:
    with argosy.attached("worker", "--engine", "echo", "--name", "old", "--fastchat-controller", listener):
        until(lambda: post(f"{listener}/list_models") == {"models": ["old"]}, seconds=20, what="it registers")
        record = read_json(argosy.fleet().fastchat, ProcessRecord)
        assert record is not None
        record.identity.send_signal(signal.SIGKILL)
        assert wait_gone([record.identity], 5) == []
        until(lambda: (now := _listener(argosy)) is not None and now != record.identity, seconds=20)
        # On another port: the worker itself could not have told the new one of itself yet.
        again = listening(argosy)
        until(lambda: post(f"{again}/list_models") == {"models": ["old"]}, what="it asks those that it knew")
        until(lambda: _state(argosy) == "ready", what="the replica is back")

        argosy.run("up", "-d", argosy.file(FLEET.replace('fastchat: {listen: "127.0.0.1:0"}\n', "")))
        until(lambda: _listener(argosy) is None, what="a file without it ends the listener")
        until(lambda: argosy.ps()["fastchat"] is None, what="and nobody tells of it")


def test_strangers_are_refused_by_address_and_pages_by_their_origin(listener: str) -> None:
    far = {"worker_name": "http://192.0.2.1:21002", "check_heart_beat": True, "worker_status": {"model_names": ["m"]}}
    for url, body, headers, words in (
        ("/register_worker", far, {}, "192.0.2.1, in none of the networks of fastchat.allow"),
        ("/register_worker", {"worker_name": "http://127.0.0.1:1"}, {}, "does not tell how it is"),
        ("/list_models", {}, {"origin": "http://127.0.0.1"}, "Pages may not call"),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(listener + url, body, headers=headers)
        assert words in refused.value.read().decode()


def test_a_gateway_alone_keeps_a_listener_of_its_own(argosy: Argosy) -> None:
    argosy.file(FLEET)
    with argosy.attached("gateway", "fleet.yaml") as gateway:
        listening(argosy)
        own = _listener(argosy)
        assert own is not None
        gateway.send_signal(signal.SIGKILL)
        gateway.wait()
        assert wait_gone([own], 5) == []  # it ends with its owner, whatever way that died


def _listener(argosy: Argosy) -> ProcessIdentity | None:
    record = read_json(argosy.fleet().fastchat, ProcessRecord)
    return record.identity if record is not None and record.identity.alive else None


def _state(argosy: Argosy) -> str:
    found = [each["state"] for replica, each in argosy.replicas_now().items() if replica.startswith("old.")]
    return found[0] if found else "gone"
