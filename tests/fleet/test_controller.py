"""What dies and what that does: workers, gateway and controller killed hard, over real processes."""

from __future__ import annotations

import pytest

from argosy.processes.identity import ProcessIdentity
from command import Argosy, gone, kill
from waiting import until

FLEET = """
gateway: {port: 0}
grace: 2
deployments:
  a: {engine: echo, replicas: 2}
"""


@pytest.fixture
def up(argosy: Argosy) -> Argosy:
    argosy.file(FLEET)
    argosy.run("up", "-d")
    return argosy


def test_a_killed_worker_is_replaced_and_its_engine_is_gone(up: Argosy) -> None:
    before = up.replicas()
    engine = ProcessIdentity.of(before["a.0"]["engine_pid"])
    kill(before["a.0"]["worker_pid"])
    assert gone([engine])
    assert up.run("chat", "a", "hello").stdout.strip() == "hello"
    after = until(lambda: (now := up.replicas())["a.0"]["state"] == "ready" and now, seconds=15)
    assert after["a.0"]["worker_pid"] != before["a.0"]["worker_pid"]
    assert after["a.0"]["restarts"] == 1
    assert after["a.1"]["engine_pid"] == before["a.1"]["engine_pid"]
    up.run("down")


def test_a_killed_gateway_is_back_at_its_address_and_no_engine_noticed(up: Argosy) -> None:
    before, door = up.replicas(), up.ps()["gateways"][0]
    kill(door["pid"])
    after = until(
        lambda: (now := up.ps()["gateways"][0])["state"] == "running" and now["pid"] != door["pid"] and now, seconds=10
    )
    assert after["address"] == door["address"]
    assert after["restarts"] == 1
    until(lambda: up.run("chat", "a", "hello", code=None).stdout.strip() == "hello", seconds=10)
    assert [each["engine_pid"] for each in up.replicas().values()] == [each["engine_pid"] for each in before.values()]
    up.run("down")


def test_a_killed_controller_stops_nothing_and_the_next_up_adopts_all(up: Argosy) -> None:
    before, door = up.replicas(), up.ps()["gateways"][0]
    kill(up.pid("controller"))
    assert up.run("chat", "a", "hello").stdout.strip() == "hello"
    assert "controller: gone — what runs keeps running; `argosy up` adopts it" in up.run("ps").stdout
    orphaned = up.ps()
    assert orphaned["deployments"][0]["ready"] == 2
    up.run("stop", "a", code=3)
    adopting = up.run("up", "-d")
    assert "adopting what runs" in adopting.stdout
    assert up.ps()["gateways"][0]["pid"] == door["pid"]
    after = up.replicas()
    for replica, each in before.items():
        assert (after[replica]["worker_pid"], after[replica]["engine_pid"]) == (each["worker_pid"], each["engine_pid"])
    up.run("down")


def test_down_works_without_a_controller(up: Argosy) -> None:
    everything = up.everything()
    kill(up.pid("controller"))
    up.run("down")
    assert gone(everything)


def test_what_died_without_a_controller_is_told_and_comes_back_with_the_next_up(up: Argosy) -> None:
    before = up.replicas()
    kill(up.pid("controller"))
    kill(before["a.0"]["worker_pid"])
    orphan = up.replicas()["a.0"]
    assert orphan["state"] == "failed"
    assert "no controller runs" in orphan["reason"]
    up.run("up", "-d")
    after = up.replicas()
    assert after["a.0"]["state"] == "ready"
    assert after["a.1"]["engine_pid"] == before["a.1"]["engine_pid"]
    up.run("down")


def test_the_death_of_the_controller_is_told_to_who_is_attached(argosy: Argosy) -> None:
    argosy.file(FLEET)
    with argosy.attached("up") as attached:
        until(lambda: "is ready" in argosy.output("up"), seconds=20)
        kill(argosy.pid("controller"))
        assert attached.wait(10) == 1
    assert "What runs keeps running and serving: gateway, a.0, a.1" in argosy.output("up")
    argosy.run("down")


def test_everything_killed_at_once_comes_up_again(up: Argosy) -> None:
    everything = up.everything()
    for who in everything:
        who.send_signal(9)
    assert gone(everything)
    up.run("ps", code=3)
    up.run("up", "-d")
    assert up.run("chat", "a", "hello").stdout.strip() == "hello"
    up.run("down")
