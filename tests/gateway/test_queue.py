"""Requests that wait for a replica, and what they hear when they have waited long enough."""

from __future__ import annotations

import asyncio

import pytest
from door import Door, error_of, record

from argosy.protocol.admin import FleetTable
from argosy.protocol.deployment import DeploymentRecord
from engines import FakeEngine, chat_stream, held, silent_after
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


async def test_who_is_turned_away_hears_its_place_in_line() -> None:
    gate = asyncio.Event()
    async with FakeEngine(held(gate)) as engine, Door() as door:
        await door.join(engine, concurrency=1, deployment=record(limits={"queue": 0.05}, max_queue=1))
        running = asyncio.create_task(door.chat())
        await engine.until_asked()
        waiting = asyncio.create_task(door.chat())
        await eventually(lambda: door.dispatcher.waiting() == {"m": 1})
        full, late = await door.chat(), await waiting
        assert (full.status, error_of(full)["place_in_line"]) == (429, 2)
        assert (late.status, error_of(late)["place_in_line"]) == (503, 1)
        assert "this one was number 1 of 1 in line" in error_of(late)["message"]
        gate.set()
        assert (await running).status == 200


async def test_one_clients_requests_do_not_hold_up_anothers() -> None:
    first = asyncio.Event()
    async with FakeEngine(held(first)) as engine, Door(client_keys=("one", "two")) as door:
        await door.join(engine, concurrency=1)
        running = [asyncio.create_task(door.chat(seed=0, headers=key("one")))]
        await engine.until_asked()
        for number, name in enumerate(("one", "one", "two"), 1):
            running.append(asyncio.create_task(door.chat(seed=number, headers=key(name))))
            await eventually(lambda: sum(door.dispatcher.waiting().values()) == number)  # noqa: B023
        first.set()
        await asyncio.gather(*running)
        assert [body["seed"] for body in engine.bodies] == [0, 1, 3, 2]


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


class TestALimitOfTheClients:
    async def test_it_ends_the_wait(self) -> None:
        async with Door(table=fleet(limits={"queue": 30})) as door:
            told = await door.chat(headers={"X-Request-Timeout": "0.05"})
            assert (told.status, error_of(told)["code"]) == (503, "not_ready")
            assert "(x-request-timeout)" in error_of(told)["message"]

    async def test_it_ends_the_answer(self) -> None:
        async with FakeEngine(silent_after(), silent_after()) as engine, Door() as door:
            await door.join(engine)
            for stream in (False, True):
                told = await door.chat(stream=stream, headers={"x-request-timeout": "0.05"})
                assert (told.status, error_of(told)["code"]) == (504, "total_timeout")
                assert "(x-request-timeout)" in error_of(told)["message"]

    async def test_it_only_lowers(self) -> None:
        async with FakeEngine(silent_after()) as engine, Door() as door:
            await door.join(engine, deployment=record(limits={"total": 0.05}))
            told = await door.chat(headers={"x-request-timeout": "30"})
            assert (told.status, "(timeouts.total)" in error_of(told)["message"]) == (504, True)

    @pytest.mark.parametrize("given", ["soon", "0", "-1", "nan", "", "1 s"])
    async def test_what_is_no_time_is_told(self, given: str) -> None:
        async with Door() as door:
            told = await door.chat(headers={"x-request-timeout": given})
            assert told.status == 400
            assert f"x-request-timeout is {given!r}, not a number of seconds" in error_of(told)["message"]


class TestSignsOfLife:
    """`x-wait-comments: true`."""

    async def test_a_stream_that_waits_hears_comments_then_its_answer(self) -> None:
        async with FakeEngine(chat_stream("Au")) as engine, Door(comment_seconds=0.02) as door:
            await door.push(fleet(limits={"queue": 30}))
            reader, _ = await door.ask(stream=True, headers={"x-wait-comments": "true"})
            for _ in range(2):
                await asyncio.wait_for(reader.readuntil(b": waiting\n\n"), 5)
            await door.join(engine)
            rest = await asyncio.wait_for(reader.readuntil(b"[DONE]"), 5)
            assert b'"Au"' in rest
            assert b"HTTP/1.1" not in rest
            assert door.calls[0].status == 200

    async def test_what_goes_wrong_after_one_is_an_event(self) -> None:
        async with Door(comment_seconds=0.02, table=fleet(limits={"queue": 0.2})) as door:
            reader, _ = await door.ask(stream=True, headers={"x-wait-comments": "true"})
            answered = await asyncio.wait_for(reader.readuntil(b"data: [DONE]\n\n"), 5)
            assert answered.startswith(b"HTTP/1.1 200")
            assert b'data: {"error":{"message":"m: no replica became ready' in answered
            assert door.calls[0].status == 503

    async def test_before_one_errors_are_errors_and_who_did_not_ask_hears_none(self) -> None:
        async with Door(comment_seconds=0.02) as door:
            assert (await door.chat("nobody", stream=True, headers={"x-wait-comments": "true"})).status == 404
            await door.push(fleet(limits={"queue": 0.1}))
            assert (await door.chat(stream=True)).status == 503
            assert (await door.chat(headers={"x-wait-comments": "true"})).status == 503, "no stream"

    async def test_a_client_that_leaves_ends_them(self) -> None:
        async with Door(comment_seconds=0.02, table=fleet(limits={"queue": 30})) as door:
            reader, writer = await door.ask(stream=True, headers={"x-wait-comments": "true"})
            await asyncio.wait_for(reader.readuntil(b": waiting"), 5)
            writer.close()
            await eventually(lambda: bool(door.calls))
            assert (door.calls[0].error, door.dispatcher.waiting()) == ("the client left", {})
