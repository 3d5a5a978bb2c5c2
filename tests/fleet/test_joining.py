"""Workers that are started by hand, as real processes: who is taken, who is refused before it loads, who stops them."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from command import Argosy, gone, kill
from waiting import until

ECHO = ("worker", "--engine", "echo")


@contextmanager
def gateway(argosy: Argosy, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A gateway alone: its address, its process."""
    with argosy.attached("gateway", "--port", "0", "--name", "door", *words) as process:
        until(lambda: "--join" in argosy.output("gateway"))
        yield argosy.output("gateway").split("/v1")[0].split()[-1], process


def answers(address: str, model: str) -> bool:
    """Asked directly: quicker than a command, for who asks often."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]}).encode()
    request = urllib.request.Request(f"{address}/v1/chat/completions", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bool(json.load(answer)["choices"][0]["message"]["content"] == "hello")
    except OSError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def test_the_join_line_names_the_tokens_file_and_never_the_token(argosy: Argosy) -> None:
    with gateway(argosy, "--host", "0.0.0.0"):
        until(lambda: "FILE" in argosy.output("gateway"))
        told = argosy.output("gateway")
        assert re.search(r"argosy worker SOURCE --join http://[\d.]+:\d+ --join-token-file FILE\n", told)
        file = Path(re.search(r"\(FILE: a copy of (\S+)\)", told)[1])  # type: ignore[index]
        token = file.read_text().strip()
        assert token == argosy.fleet("door").secret("join_token")
        assert token not in told


def test_aliases_a_port_of_its_own_and_everything_stopped_in_the_end(argosy: Argosy) -> None:
    port = free_port()
    with (
        gateway(argosy) as (address, door),
        argosy.attached(*ECHO, "--name", "mine", "--join", address, "--aliases", "gpt-3.5-turbo, davinci",
                        "--port", str(port), "--concurrency", "10") as worker,
    ):  # fmt: skip
        until(lambda: answers(address, "davinci"), seconds=15)
        [replica] = argosy.ps()["deployments"][0]["replicas"]
        assert replica["address"] == f"http://127.0.0.1:{port}"
        for words, sentence in {
            ("--port", str(port)): f"port {port} on 127.0.0.1 is in use by",
            ("--advertise", f"127.0.0.1:{port}"): f"reaches the worker of {replica['id']}",
        }.items():
            refused = argosy.run(*ECHO, "--name", "other", "--join", address, *words, code=2)
            assert sentence in refused.stderr, refused.stderr
            assert "replica.starting" not in refused.stdout, "nothing was loaded"
        everything = argosy.everything()
        stopped = argosy.run("stop", "all").stdout
        assert "fleet door is down" in stopped
        assert f"{replica['id']}: stopped" in stopped
        assert (door.wait(5), worker.wait(5)) == (0, 0)
        assert gone(everything)
    argosy.run("stop", "all", code=3)


def test_a_worker_without_a_token_or_with_another_one_loads_nothing(argosy: Argosy, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-wrong-one\n")
    with gateway(argosy) as (address, _):
        words = ("--name", "mine", "--join", address)
        refused = argosy.run(*ECHO, *words, "--join-token-file", str(tmp_path / "token"), code=2)
        assert "not signed with the fleet's join token. Give it the token of that gateway" in refused.stderr
        assert "a-wrong-one" not in refused.stdout + refused.stderr
        assert argosy.fleet("door").replicas() == [], "no folder was left behind"
        there = Argosy(tmp_path / "there", tmp_path)
        assert f"no join token for {address}" in there.run(*ECHO, *words, code=2).stderr


def test_a_worker_waits_for_a_gateway_that_is_away_and_survives_its_going(argosy: Argosy, tmp_path: Path) -> None:
    port, token = free_port(), tmp_path / "token"
    token.write_text("a-token\n")
    address = f"http://127.0.0.1:{port}"
    door = ("gateway", "--name", "door", "--port", str(port), "--join-token-file", str(token))
    with argosy.attached(*ECHO, "--name", "mine", "--join", address, "--join-token-file", str(token)) as worker:
        until(lambda: "gateway.away" in argosy.output("worker"))
        assert "replica.starting" not in argosy.output("worker")
        with argosy.attached(*door) as process:
            until(lambda: answers(address, "mine"), seconds=20)
            [first] = argosy.ps()["deployments"][0]["replicas"]
            kill(process.pid)
        until(lambda: "gateway.silent" in argosy.output("worker"))
        with argosy.attached(*door):
            until(lambda: answers(address, "mine"), seconds=20)
            [second] = argosy.ps()["deployments"][0]["replicas"]
            assert second["engine_pid"] == first["engine_pid"], "no model was loaded again"
            argosy.run("stop", "mine")
            assert worker.wait(1) == 0


SERVER = """
import http.server, sys
class Fine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Fine).serve_forever()
"""


@pytest.fixture
def fleet(argosy: Argosy) -> Argosy:
    """With a model of two bytes and another one."""
    server, python = argosy.folder / argosy.file(SERVER, "server.py"), argosy.argv()[0]
    for name in ("one.gguf", "two.gguf"):
        argosy.file(name, name)
    argosy.file(
        "gateway: {port: 0}\ngrace: 10\ndeployments:\n"
        "  slow: {engine: echo, options: {tokens_per_second: 4}}\n"
        f"  mine: {{source: one.gguf, command: [{python}, {server}, '{{port}}'], ready: /}}\n"
    )
    argosy.run("up", "-d")
    return argosy


def test_the_door_the_workers_and_those_that_were_started_by_hand_are_stopped_each_in_its_way(fleet: Argosy) -> None:
    address = fleet.ps()["gateways"][0]["address"]
    refused = fleet.run("worker", "two.gguf", "--name", "mine", "--join", address, code=2).stderr
    assert re.search(r"'mine' is \S+/one\.gguf \(weights \w{12}\) here \(served by mine\.0 on", refused), refused
    assert re.search(r"this worker's is \S+/two\.gguf \(weights \w{12}\)", refused), refused

    before = fleet.replicas_now()
    with fleet.attached("chat", "slow", "one two three four five six") as asking:
        until(lambda: "one two" in fleet.output("chat"))
        assert "gateway: stopped" in fleet.run("stop", "gateway").stdout
        assert asking.wait(5) == 0, "what it had begun it finished"
        assert fleet.output("chat").strip() == "one two three four five six"
    assert fleet.ask()["gateways"][0]["state"] == "stopped"
    fleet.run("start", "gateway")
    until(lambda: answers(address, "slow"))
    after = fleet.replicas_now()
    assert {each: after[each]["engine_pid"] for each in after} == {each: before[each]["engine_pid"] for each in before}

    with (
        fleet.attached(*ECHO, "--name", "by-hand", "--join", address) as by_hand,
        fleet.attached("chat", "slow", "one two three four") as asking,
    ):
        until(lambda: len(fleet.replicas_now()) == 3 and "one" in fleet.output("chat"), seconds=15)
        workers = [who for who in fleet.everything() if who.pid not in (fleet.pid("controller"), fleet.pid("gateway"))]
        told = fleet.run("stop", "workers").stdout
        assert [who for who in workers if who.alive] == []
        assert (by_hand.wait(1), asking.wait(5)) == (0, 0)
        assert fleet.output("chat").strip() == "one two three four"
    assert {line.split(":")[0].partition(".")[0] for line in told.splitlines()} == {"by-hand", "slow", "mine"}
    assert not answers(address, "slow")
    fleet.run("start", "workers")
    until(lambda: answers(address, "slow"), seconds=20)
    assert "it has: slow, mine" in fleet.run("stop", "nobody", code=2).stderr
    fleet.run("down")
