"""The command line over real processes: up, changes, down, exit codes. The engine is `echo`."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from pathlib import Path

from argosy.state import Home, ProcessRecord, read_json
from command import Argosy, gone
from waiting import until

TWO = """
gateway: {port: 0}
grace: 2
deployments:
  a: {engine: echo, replicas: 2, aliases: [other]}
  b: {engine: echo}
"""


def test_up_detached_serves_and_down_leaves_nothing(argosy: Argosy) -> None:
    argosy.file(TWO)
    up = argosy.run("up", "-d")
    assert "fleet fleet is ready: http://127.0.0.1:" in up.stdout
    report = argosy.ps()
    assert [(each["name"], each["ready"]) for each in report["deployments"]] == [("a", 2), ("b", 1)]
    assert report["controller"]["state"] == "running"
    assert report["gateways"][0]["state"] == "running"
    assert argosy.run("chat", "other", "good morning").stdout.strip() == "good morning"
    everything = argosy.everything()
    assert len(everything) >= 2 + 3 * 3  # controller, gateway; worker, guard and engine of each replica
    argosy.run("down")
    assert gone(everything)
    argosy.run("ps", code=3)
    assert "replica.ready" in argosy.run("logs", "a.0").stdout  # also afterwards


def test_ctrl_c_ends_an_attached_fleet_and_everything_it_started(argosy: Argosy) -> None:
    argosy.file(TWO)
    with argosy.attached("up") as up:
        until(lambda: "is ready" in argosy.output("up"), seconds=20)
        everything = argosy.everything()
        up.send_signal(signal.SIGINT)
        assert up.wait(20) == 130
    assert gone(everything)
    told = argosy.output("up")
    assert "stopping…" in told
    assert "does not answer" not in told


def test_a_second_ctrl_c_does_not_wait_for_running_requests(argosy: Argosy) -> None:
    argosy.file("gateway: {port: 0}\ngrace: 60\ndeployments: {slow: {engine: echo, options: {tokens_per_second: 0.5}}}")
    with argosy.attached("up") as up:
        until(lambda: "is ready" in argosy.output("up"), seconds=20)
        with argosy.attached("chat", "slow", "one two three four five six"):
            until(lambda: "one" in argosy.output("chat"), seconds=10)
            everything = argosy.everything()
            up.send_signal(signal.SIGINT)
            until(lambda: "stopping…" in argosy.output("up"))
            assert up.poll() is None
            up.send_signal(signal.SIGINT)
            assert up.wait(20) == 130
    assert gone(everything)


def test_sigterm_ends_an_attached_fleet_as_asked(argosy: Argosy) -> None:
    argosy.file(TWO)
    with argosy.attached("up") as up:
        until(lambda: "is ready" in argosy.output("up"), seconds=20)
        everything = argosy.everything()
        up.send_signal(signal.SIGTERM)
        assert up.wait(20) == 0
    assert gone(everything)


def test_a_bad_file_starts_nothing_and_tells_every_fault(argosy: Argosy) -> None:
    argosy.file("deployments: {a: {engine: echo, optoins: {}}, b: {engine: echoo}}")
    up = argosy.run("up", code=2)
    assert "deployments.a.optoins" in up.stderr
    assert "deployments.b.engine" in up.stderr
    assert not (argosy.home / "fleets").exists()


def test_a_port_in_use_is_told_before_anything_starts(argosy: Argosy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        argosy.file(f"gateway: {{port: {port}}}\ndeployments: {{a: {{engine: echo}}}}")
        up = argosy.run("up", "-d", code=2)
    assert f"port {port} on 127.0.0.1 is in use" in up.stderr
    assert argosy.processes() == []


def test_one_deployment_fails_with_its_reason_and_the_other_serves(argosy: Argosy) -> None:
    argosy.file(
        """
gateway: {port: 0}
grace: 1
deployments:
  bad: {engine: command, command: ["/no/such/program"]}
  good: {engine: echo}
"""
    )
    up = argosy.run("up", "-d", code=1)
    assert "bad.0" in up.stdout
    assert "/no/such/program" in up.stdout
    assert argosy.run("chat", "good", "still here").stdout.strip() == "still here"
    assert "/no/such/program" in argosy.run("ps").stdout
    argosy.run("down")


def test_up_again_applies_the_difference_and_leaves_the_rest(argosy: Argosy) -> None:
    argosy.file(TWO)
    argosy.run("up", "-d")
    before = argosy.replicas()
    argosy.file(
        """
gateway: {port: 0}
grace: 2
deployments:
  a: {engine: echo, replicas: 2, aliases: [another]}
  c: {engine: echo, options: {slots: 2}}
"""
    )
    up = argosy.run("up", "-d")
    assert "a: changed without a restart (aliases)" in up.stdout
    assert "b: removed" in up.stdout
    assert "c: new" in up.stdout
    after = argosy.replicas()
    assert after["a.0"]["engine_pid"] == before["a.0"]["engine_pid"]
    assert after["a.1"]["engine_pid"] == before["a.1"]["engine_pid"]
    assert after["c.0"]["state"] == "ready"
    until(lambda: "b.0" not in argosy.replicas())
    assert argosy.run("chat", "another", "hello").stdout.strip() == "hello"
    argosy.run("down")


def test_a_changed_gateway_port_moves_the_door_and_no_engine(argosy: Argosy) -> None:
    argosy.file(TWO)
    argosy.run("up", "-d")
    before = argosy.replicas()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argosy.file(TWO.replace("port: 0", f"port: {port}"))
    up = argosy.run("up", "-d")
    assert f"gateway: changed, no engine restarts (port 0 → {port})" in up.stdout
    until(lambda: argosy.ps()["gateways"][0]["address"] == f"http://127.0.0.1:{port}")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
        assert answer.status == 200
    until(lambda: argosy.run("chat", "a", "hello", code=None).stdout.strip() == "hello")
    after = argosy.replicas()
    assert {each: after[each]["engine_pid"] for each in after} == {each: before[each]["engine_pid"] for each in before}
    argosy.run("down")


def test_stop_lasts_until_start(argosy: Argosy) -> None:
    argosy.file(TWO)
    argosy.run("up", "-d")
    argosy.run("stop", "b")
    until(lambda: "b.0" not in argosy.replicas())
    assert argosy.run("chat", "a", "hello").stdout.strip() == "hello"
    assert argosy.run("stop", "nobody", code=2).stderr.strip().endswith("it has: a, b")
    argosy.run("start", "b")
    until(lambda: argosy.replicas()["b.0"]["state"] == "ready", seconds=20)
    argosy.run("down")


def test_two_fleets_do_not_see_each_other(argosy: Argosy) -> None:
    argosy.file(TWO, "one.yaml")
    argosy.file(TWO, "two.yaml")
    argosy.run("up", "-d", "one.yaml")
    argosy.run("up", "-d", "two.yaml")
    assert "one, two" in argosy.run("down", code=2).stderr
    argosy.run("down", "--fleet", "one")
    assert argosy.ps()["name"] == "two"
    assert argosy.run("chat", "a", "hello").stdout.strip() == "hello"
    argosy.run("down", "--all")
    argosy.run("down", code=3)


def test_a_worker_started_by_hand_joins_and_is_not_taken_down(argosy: Argosy) -> None:
    argosy.file(TWO)
    argosy.run("up", "-d")
    address = argosy.ps()["gateways"][0]["address"]
    with argosy.attached("worker", "--engine", "echo", "--name", "mine", "--join", address) as worker:
        until(lambda: argosy.run("chat", "mine", "hello", code=None).stdout.strip() == "hello", seconds=15)
        assert [each for each in argosy.replicas() if each.startswith("mine.")]
        argosy.run("down")
        assert worker.poll() is None
        worker.send_signal(signal.SIGINT)
        assert worker.wait(20) == 0


def test_a_gateway_alone_serves_what_joins_it(argosy: Argosy) -> None:
    with argosy.attached("gateway", "--port", "0", "--name", "door") as gateway:
        until(lambda: "/v1" in argosy.output("gateway"))
        address = argosy.output("gateway").split("/v1")[0].split()[-1]
        with argosy.attached("worker", "--engine", "echo", "--name", "mine", "--join", address) as worker:
            until(lambda: argosy.run("chat", "mine", "hello", code=None).stdout.strip() == "hello", seconds=15)
            assert argosy.ps()["name"] == "door"
            shown = [line.split() for line in argosy.run("ps").stdout.splitlines()]
            assert ["controller:", "none", "—", "a", "gateway", "alone"] in shown
            assert ["mine", "1", "ready"] in shown, "nobody asked for a number of them"
            worker.send_signal(signal.SIGINT)
            assert worker.wait(20) == 0
        gateway.send_signal(signal.SIGINT)
        assert gateway.wait(20) == 0


def test_a_gateway_alone_shows_its_remote_deployments(argosy: Argosy) -> None:
    urls = ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"]  # nobody listens there
    file = argosy.file(json.dumps({"gateway": {"port": 0}, "deployments": {"far": {"engine": "remote", "urls": urls}}}))
    with argosy.attached("gateway", file) as gateway:
        until(lambda: "/v1" in argosy.output("gateway"))
        (far,) = argosy.ps()["deployments"]
        assert (far["name"], far["engine"], far["wanted"]) == ("far", "remote", 2)
        assert [each["address"] for each in far["replicas"]] == urls
        gateway.send_signal(signal.SIGINT)
        assert gateway.wait(20) == 0


def test_a_worker_of_another_home_is_read_and_ended_through_its_gateway(argosy: Argosy, tmp_path: Path) -> None:
    """As on another machine: nothing of its state lies where the gateway is."""
    with argosy.attached("gateway", "--port", "0", "--name", "door") as gateway:
        until(lambda: "/v1" in argosy.output("gateway"))
        address = argosy.output("gateway").split("/v1")[0].split()[-1]
        token, key = (str(argosy.fleet("door").secret(name)) for name in ("join_token", "admin_key"))
        (tmp_path / "there").mkdir()
        there = Argosy(tmp_path / "there" / "home", tmp_path / "there", {"ARGOSY_JOIN_TOKEN": token})
        with there.attached("worker", "--engine", "echo", "--name", "a/mine", "--join", address) as worker:
            until(lambda: argosy.run("chat", "a/mine", "hello", code=None).stdout.strip() == "hello", seconds=15)
            (replica,) = (each["id"] for each in argosy.ps()["deployments"][0]["replicas"])
            for name in (replica, "a/mine"):
                assert f"replica.ready replica={replica} " in argosy.run("logs", name, "-n", "1").stdout
            elsewhere = Argosy(tmp_path / "nowhere", tmp_path, {"ARGOSY_ADMIN_KEY": key})
            assert "replica.ready" in elsewhere.run("logs", "a/mine", "--url", f"{address}/v1").stdout
            assert "no replica of 'x' has joined" in elsewhere.run("logs", "x", "--url", address, code=2).stderr
            assert f"has no log of 'x'; it has: {replica}" in argosy.run("logs", "x", code=2).stderr
            with argosy.attached("logs", replica, "-f", "-n", "1"):
                folder = next(Home(there.home).fleets())
                until(lambda: "replica.ready" in argosy.output("logs"), seconds=15)
                with folder.log(replica).open("a") as log:
                    log.write("words of the engine\n")
                until(lambda: "words of the engine\n" in argosy.output("logs"), seconds=15)
            argosy.run("drain", replica, "--now")
            assert worker.wait(20) == 0
            assert not there.everything()
        gateway.send_signal(signal.SIGINT)
        assert gateway.wait(20) == 0


def test_down_ends_a_gateway_that_is_still_starting(argosy: Argosy) -> None:
    with argosy.attached("up", argosy.file(TWO)) as up:
        record = until(lambda: read_json(argosy.fleet().starting_gateway, ProcessRecord))
        up.send_signal(signal.SIGINT)
        assert up.wait(20) == 130
        assert not record.identity.alive
    assert not argosy.everything()
