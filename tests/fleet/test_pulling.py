"""Pulling over HTTP, and what the fleet's machines have."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from command import Argosy

FLEET = "gateway: {port: 0}\ndeployments:\n  hello: {engine: echo}\n"


def test_a_pull_tells_its_end_and_refuses_what_is_no_source(argosy: Argosy) -> None:
    argosy.run("up", "-d", argosy.file(FLEET))
    [machine] = argosy.ask("/argosy/v1/fleet/machines")
    assert 0 < machine["free_bytes"] <= machine["memory_bytes"]
    folder = argosy.fleet()
    address = argosy.ps()["gateways"][0]["address"]

    def pull(source: str) -> list[dict[str, object]]:
        request = urllib.request.Request(f"{address}/argosy/v1/fleet/pull?source={source}", method="POST")
        request.add_header("authorization", f"Bearer {folder.secret('admin_key')}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return [json.loads(line[6:]) for line in answer.read().splitlines() if line.startswith(b"data: ")]

    # A port that nobody listens on: the end comes at once, and in words.
    events = pull("https://127.0.0.1:9/model.gguf")
    assert [event["state"] for event in (events[0], events[-1])] == ["progress", "failed"]
    assert "127.0.0.1" in str(events[-1]["text"])
    for wrong in ("/etc/passwd", "nonsense:x", ""):
        with pytest.raises(urllib.error.HTTPError) as refused:
            pull(wrong)
        refused.value.close()
        assert refused.value.code == 400
    argosy.run("down")
