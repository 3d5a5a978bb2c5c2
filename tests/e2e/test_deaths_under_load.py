"""Everything that can die is killed under eight people who stream: what the table of processes promises."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import pytest

from argosy.processes.identity import ProcessIdentity
from argosy.state import read_json
from clients import Crowd, Ending
from command import Argosy
from waiting import eventually

FLEET = """
gateway: {port: 0}
deployments:
  talk: {engine: echo, replicas: 2, options: {tokens_per_second: 40, slots: 8}}
"""
PEOPLE = 8


@pytest.fixture
async def crowd(argosy: Argosy) -> AsyncIterator[Crowd]:
    argosy.run("up", "-d", argosy.file(FLEET))
    crowd = Crowd(argosy.ps()["gateways"][0]["address"] + "/v1", "talk")
    async with crowd.talking(PEOPLE):
        await crowd.hear(Ending.WHOLE, PEOPLE)
        yield crowd
        await crowd.hear(Ending.WHOLE, PEOPLE)
    assert not crowd.endings[Ending.SILENT], crowd.endings
    argosy.run("down")


def family(argosy: Argosy, replica: str) -> list[ProcessIdentity]:
    """Guard and engine of a replica, with what the engine started."""
    found = read_json(argosy.fleet().replica(replica).engine, list[ProcessIdentity])
    assert found
    return found


async def test_a_killed_engine_is_told_to_its_clients_and_comes_back(argosy: Argosy, crowd: Crowd) -> None:
    before = argosy.replicas_now()
    os.kill(before["talk.0"]["engine_pid"], signal.SIGKILL)
    await crowd.hear(Ending.TOLD, 1)
    await eventually(lambda: argosy.replicas_now()["talk.0"]["restarts"] == 1)
    await eventually(lambda: argosy.replicas_now()["talk.0"]["state"] == "ready")
    after = argosy.replicas_now()
    assert after["talk.0"]["worker_pid"] == before["talk.0"]["worker_pid"]
    assert after["talk.1"]["engine_pid"] == before["talk.1"]["engine_pid"]
    assert not crowd.endings[Ending.REFUSED] and not crowd.endings[Ending.CUT], crowd.endings


async def test_a_killed_guard_takes_its_engine_along_and_the_replica_comes_back(argosy: Argosy, crowd: Crowd) -> None:
    processes = family(argosy, "talk.0")
    os.kill(processes[0].pid, signal.SIGKILL)
    await eventually(lambda: not any(each.alive for each in processes), seconds=1)
    await eventually(lambda: argosy.replicas_now()["talk.0"]["restarts"] == 1)
    await eventually(lambda: argosy.replicas_now()["talk.0"]["state"] == "ready")
    assert not crowd.endings[Ending.REFUSED] and not crowd.endings[Ending.CUT], crowd.endings


async def test_a_killed_worker_takes_its_engine_along_and_is_replaced(argosy: Argosy, crowd: Crowd) -> None:
    before, processes = argosy.replicas_now()["talk.0"], family(argosy, "talk.0")
    os.kill(before["worker_pid"], signal.SIGKILL)
    await eventually(lambda: not any(each.alive for each in processes), seconds=1)
    await eventually(lambda: argosy.replicas_now()["talk.0"]["restarts"] >= 1)
    await eventually(lambda: argosy.replicas_now()["talk.0"]["state"] == "ready")
    assert argosy.replicas_now()["talk.0"]["worker_pid"] != before["worker_pid"]
    assert not crowd.endings[Ending.REFUSED] and not crowd.endings[Ending.CUT], crowd.endings


async def test_a_killed_gateway_is_back_with_full_tables_and_no_engine_noticed(argosy: Argosy, crowd: Crowd) -> None:
    before = argosy.ps()
    os.kill(before["gateways"][0]["pid"], signal.SIGKILL)
    await crowd.hear(Ending.CUT, 1)
    await crowd.hear(Ending.WHOLE, PEOPLE)
    after = argosy.ps()
    assert after["gateways"][0]["pid"] != before["gateways"][0]["pid"]
    assert after["gateways"][0]["address"] == before["gateways"][0]["address"]
    pids = [[each["engine_pid"] for each in seen["deployments"][0]["replicas"]] for seen in (before, after)]
    assert pids[0] == pids[1]


async def test_a_killed_controller_is_missed_by_nobody_and_the_next_up_adopts(argosy: Argosy, crowd: Crowd) -> None:
    before = argosy.ps()
    os.kill(before["controller"]["pid"], signal.SIGKILL)
    await eventually(lambda: argosy.ps()["controller"]["state"] == "gone")
    await crowd.hear(Ending.WHOLE, 2 * PEOPLE)
    argosy.run("up", "-d", "fleet.yaml")
    after = argosy.ps()
    assert after["controller"]["state"] == "running"
    assert after["gateways"][0]["pid"] == before["gateways"][0]["pid"]
    kept = [
        [(each["worker_pid"], each["engine_pid"]) for each in seen["deployments"][0]["replicas"]]
        for seen in (before, after)
    ]
    assert kept[0] == kept[1]
    assert set(crowd.endings) == {Ending.WHOLE}, crowd.endings
