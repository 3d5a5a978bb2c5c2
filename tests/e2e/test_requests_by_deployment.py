"""What a fleet file says of requests, from the file to the answer; changed while the fleet runs."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from command import Argosy


def ask(argosy: Argosy, **fields: Any) -> str:
    """What `fake` answers: the echo engine says the words of the last message again."""
    body = {"model": "fake", "messages": [{"role": "user", "content": "one two three four five"}], **fields}
    url = argosy.ps()["gateways"][0]["address"] + "/v1/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=10) as answer:
        said: str = json.loads(answer.read())["choices"][0]["message"]["content"]
        return said


def up(argosy: Argosy, fields: str) -> None:
    argosy.run("up", "-d", argosy.file(f"gateway: {{port: 0}}\ndeployments:\n  fake: {{engine: echo{fields}}}\n"))


def test_a_change_of_what_requests_get_counts_at_once_and_restarts_nothing(argosy: Argosy) -> None:
    up(argosy, ", max_tokens_ceiling: 2")
    engine = argosy.replicas()["fake.0"]["engine_pid"]
    assert ask(argosy) == ask(argosy, max_tokens=100) == "one two"
    assert ask(argosy, max_tokens=1) == "one"
    up(argosy, ", max_tokens_ceiling: 3, defaults: {max_tokens: 1}")
    assert (ask(argosy), ask(argosy, max_completion_tokens=100)) == ("one", "one two three")
    up(argosy, "")
    assert ask(argosy) == "one two three four five"
    assert argosy.replicas()["fake.0"]["engine_pid"] == engine
    argosy.run("down")
