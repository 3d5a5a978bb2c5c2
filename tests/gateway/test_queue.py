"""Requests that wait for a replica, and what they hear when they have waited long enough."""

from __future__ import annotations

import asyncio

from door import Door, error_of, record

from argosy.protocol.admin import FleetTable
from argosy.protocol.deployment import DeploymentRecord
from engines import FakeEngine, held
from waiting import eventually


def fleet(**fields: object) -> FleetTable:
    return FleetTable(revision=1, deployments=[record(**fields)])  # type: ignore[arg-type]


async def test_a_deployment_without_replicas_waits_and_is_served_when_one_comes() -> None:
    async with FakeEngine() as engine, Door(table=fleet(limits={"queue": 5})) as door:
        waiting = [asyncio.create_task(door.chat()) for _ in range(3)]
        await eventually(lambda: door.dispatcher.waiting() == {"m": 3})
        await door.join(engine)
        assert [told.status for told in await asyncio.gather(*waiting)] == [200] * 3


async def test_a_deployment_without_replicas_is_a_503_at_the_deadline() -> None:
    async with Door(table=fleet(limits={"queue": 0.05})) as door:
        told = await door.chat()
        assert (told.status, error_of(told)["code"]) == (503, "not_ready")
        assert "retry-after" in told.headers
        assert "m: no replica became ready within 0.05 s" in error_of(told)["message"]


async def test_beyond_a_replicas_concurrency_requests_wait_here() -> None:
    gate = asyncio.Event()
    async with FakeEngine(*[held(gate)] * 6) as engine, Door() as door:
        await door.join(engine, concurrency=2)
        running = [asyncio.create_task(door.chat()) for _ in range(6)]
        await eventually(lambda: door.dispatcher.waiting() == {"m": 4})
        assert len(engine.asked) == 2
        gate.set()
        assert [told.status for told in await asyncio.gather(*running)] == [200] * 6
        assert engine.connections == 2


async def test_who_waited_for_a_slot_in_vain_hears_that_it_is_busy() -> None:
    gate = asyncio.Event()
    async with FakeEngine(held(gate)) as engine, Door() as door:
        await door.join(engine, concurrency=1, deployment=record(limits={"queue": 0.05}))
        running = asyncio.create_task(door.chat())
        await engine.until_asked()
        told = await door.chat()
        assert (told.status, error_of(told)["code"], told.headers["retry-after"]) == (503, "queue_timeout", "1")
        gate.set()
        assert (await running).status == 200


async def test_a_full_line_is_a_429_at_once() -> None:
    gate = asyncio.Event()
    async with FakeEngine(held(gate)) as engine, Door() as door:
        await door.join(engine, concurrency=1, deployment=record(max_queue=1))
        running = [asyncio.create_task(door.chat())]
        await engine.until_asked()
        running.append(asyncio.create_task(door.chat()))
        await eventually(lambda: door.dispatcher.waiting() == {"m": 1})
        told = await door.chat()
        assert (told.status, error_of(told)["type"], error_of(told)["code"]) == (429, "rate_limit_error", "queue_full")
        assert told.headers["retry-after"] == "1"
        gate.set()
        assert [each.status for each in await asyncio.gather(*running)] == [200, 200]


async def test_those_who_wait_are_served_in_their_order() -> None:
    gate = asyncio.Event()
    async with FakeEngine(held(gate)) as engine, Door() as door:
        await door.join(engine, concurrency=1)
        running = [asyncio.create_task(door.chat())]
        await engine.until_asked()
        for number in range(5):
            running.append(asyncio.create_task(door.chat(seed=number)))
            await eventually(lambda expected=number + 1: door.dispatcher.waiting() == {"m": expected})
        gate.set()
        await asyncio.gather(*running)
        assert [body["seed"] for body in engine.bodies[1:]] == [0, 1, 2, 3, 4]


async def test_a_deployment_that_is_stopped_or_failed_refuses_at_once() -> None:
    async with Door(table=fleet(limits={"queue": 60})) as door:
        waiting = asyncio.create_task(door.chat())
        await eventually(lambda: door.dispatcher.waiting() == {"m": 1})
        failed = FleetTable(revision=2, deployments=[record()], failed={"m.0": "no such file: a.gguf"})
        await door.push(failed)
        for told in (await waiting, await door.chat()):
            assert (told.status, error_of(told)["code"]) == (503, "failed")
            assert error_of(told)["message"] == "m has failed: no such file: a.gguf"
        await door.push(FleetTable(revision=3, deployments=[DeploymentRecord(name="m", revision=3, stopped=True)]))
        told = await door.chat()
        assert (told.status, error_of(told)["code"]) == (503, "stopped")
        assert "argosy start m" in error_of(told)["message"]
