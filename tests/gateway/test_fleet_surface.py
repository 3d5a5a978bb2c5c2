"""What workers and the controller say to a gateway, and what it answers them."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest
from door import ADMIN, JOIN_TOKEN, Door, error_of, record

from argosy.protocol.admin import FleetTable, TableAnswer
from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.heartbeat import LONGEST_SKEW_SECONDS, PATH, SIGNATURE_HEADER, Heartbeat, sign
from argosy.wire.client import Answer
from engines import FakeEngine, Stage, answer, chunk, head, held, silent_after
from voices import WorkerVoice


async def test_a_heartbeat_makes_a_replica_that_requests_reach() -> None:
    async with FakeEngine() as engine, Door() as door:
        assert (await door.chat()).status == 404
        await door.join(engine, state="starting", deployment=record(limits={"queue": 0.01}))
        assert (await door.chat()).status == 503
        await door.again(state="ready")
        assert (await door.chat()).status == 200
        await door.again(state="draining")
        assert (await door.chat()).status == 503


async def test_a_heartbeats_answer_tells_what_runs_and_who_else_wants_to_hear() -> None:
    gateways = ["http://127.0.0.1:8000", "http://127.0.0.1:8001"]
    table = FleetTable(revision=1, gateways=gateways, deployments=[record()])
    gate = asyncio.Event()
    async with FakeEngine(held(gate), held(gate)) as engine, Door(table=table) as door:
        answered = await door.join(engine)
        assert (answered.gateways, answered.in_flight, answered.commands) == (gateways, 0, [])
        running = [asyncio.create_task(door.chat()) for _ in range(2)]
        await engine.until_asked(2)
        assert (await door.again()).in_flight == 2
        gate.set()
        await asyncio.gather(*running)
        assert (await door.again()).in_flight == 0


async def test_a_replayed_heartbeat_changes_nothing_and_is_not_told_that_nothing_runs() -> None:
    """A worker that drains ends at 0: it must not hear it by an answer to a heartbeat that was overtaken."""
    gate = asyncio.Event()
    async with FakeEngine(held(gate)) as engine, Door() as door:
        await door.join(engine)
        voice = door.voices["m.0"]
        ready, draining = voice.beat("ready"), voice.beat("draining")
        running = asyncio.create_task(door.chat())
        await engine.until_asked()
        assert (await door.tell(draining)).in_flight == 1
        assert (await door.tell(ready)).in_flight == 1
        assert (await door.replicas())["m.0"].state == "draining"
        gate.set()
        assert (await running).status == 200


async def test_the_workers_of_a_stopped_deployment_are_told_to_drain() -> None:
    async with FakeEngine() as engine, Door() as door:
        assert (await door.join(engine)).commands == []
        stopped = DeploymentRecord(name="m", revision=2, stopped=True)
        await door.push(FleetTable(revision=2, deployments=[stopped]))
        assert (await door.again()).commands == ["drain"]


async def test_the_table_is_taken_kept_and_answered() -> None:
    async with Door() as door:
        table = FleetTable(revision=5, deployments=[record(aliases=["n"], limits={"queue": 5})])
        for _ in range(2):
            told = await door.push(table)
            assert msgspec.json.decode(told.body, type=TableAnswer).revision == 5
        assert door.tables == [table], "kept once, as it came again unchanged"
        told = await door.push(FleetTable(revision=4))
        assert msgspec.json.decode(told.body, type=TableAnswer).revision == 5
        assert door.tables == [table]
        assert door.registry.find("n") is not None

        async with FakeEngine() as engine:
            waiting = asyncio.create_task(door.chat("n"))
            while not door.dispatcher.waiting():
                told = await door.push(table)
            told = await door.push(table)
            assert msgspec.json.decode(told.body, type=TableAnswer).waiting == {"m": 1}
            await door.join(engine)
            assert (await waiting).status == 200
            told = await door.push(table)
            answered = msgspec.json.decode(told.body, type=TableAnswer)
            assert (answered.waiting, answered.in_flight) == ({}, {"m.0": 0})


async def test_replicas_are_told_as_this_gateway_sees_them() -> None:
    async with FakeEngine() as engine, Door() as door:
        await door.join(engine, "a/m.0", worker_pid=7)
        view = (await door.replicas())["a/m.0"]
        assert (view.deployment, view.state, view.routable, view.address) == ("a/m", "ready", True, engine.address)
        assert view.worker_pid == 7


async def test_fleet_actions_are_passed_on_to_the_controller() -> None:
    async with FakeEngine(answer({"name": "f"}), answer({"name": "f"}, 202), answer({})) as controller, Door() as door:
        await door.push(FleetTable(revision=1, controller=controller.address))
        told = await door.request("GET", "/argosy/v1/fleet", headers={**ADMIN, "cookie": "a=b"})
        assert (told.status, json.loads(told.body)) == (200, {"name": "f"})
        told = await door.request("PUT", "/argosy/v1/fleet?x=1&y=%20", {"fleet": {}}, ADMIN)
        assert told.status == 202
        await door.request("POST", "/argosy/v1/fleet/stop/Qwen%2FQwen2.5-7B%0d%0a", headers=ADMIN)
        first, second, third = controller.asked
        assert (first.method, first.target, first.headers["authorization"]) == (
            "GET",
            "/argosy/v1/fleet",
            ADMIN["authorization"],
        )
        assert "cookie" not in first.headers
        assert (second.method, second.target, second.json) == ("PUT", "/argosy/v1/fleet?x=1&y=%20", {"fleet": {}})
        assert third.target == "/argosy/v1/fleet/stop/Qwen%2FQwen2.5-7B%0d%0a", "as it came"


async def test_the_controllers_refusals_pass_untouched() -> None:
    body = b'{"error":{"message":"deployments.m.optoins: unknown"}}'
    async with FakeEngine(answer(body, 400)) as controller, Door() as door:
        await door.push(FleetTable(revision=1, controller=controller.address))
        told = await door.request("PUT", "/argosy/v1/fleet", {}, ADMIN)
        assert (told.status, told.body) == (400, body)


async def test_the_controllers_events_come_as_they_happen_and_stop_with_their_reader() -> None:
    async def play(stage: Stage) -> None:
        await stage.send(head(content_type="text/event-stream", transfer_encoding="chunked"))
        await silent_after(chunk(b"data: one\n\n"))(stage)

    async with FakeEngine(play) as controller, Door() as door:
        await door.push(FleetTable(revision=1, controller=controller.address))
        url = f"{door.url}/argosy/v1/fleet/events"
        async with door.client.stream("GET", url, headers=ADMIN, seconds=5) as told:
            assert told.headers["content-type"].startswith("text/event-stream")
            assert await anext(told.chunks()) == b"data: one\n\n"
        await controller.until(lambda: controller.open == 0, seconds=1)


async def test_a_controller_that_is_gone_is_told_and_nothing_else_suffers() -> None:
    async with FakeEngine() as engine, FakeEngine() as controller, Door() as door:
        await door.push(FleetTable(revision=1, controller=controller.address, deployments=[record()]))
        await door.join(engine)
        await controller.die()
        told = await door.request("GET", "/argosy/v1/fleet", headers=ADMIN)
        assert (told.status, error_of(told)["code"]) == (503, "controller_gone")
        assert "argosy up" in error_of(told)["message"]
        assert (await door.chat()).status == 200


async def test_a_gateway_without_a_controller_says_so() -> None:
    async with Door() as door:
        told = await door.request("GET", "/argosy/v1/fleet", headers=ADMIN)
        assert told.status == 503
        assert "without a controller" in error_of(told)["message"]


async def refused(door: Door, heartbeat: Heartbeat) -> Answer:
    body = msgspec.json.encode(heartbeat)
    return await door.request("POST", PATH, body, {SIGNATURE_HEADER: sign(body, JOIN_TOKEN)})


async def test_a_heartbeat_of_a_replica_that_has_left_cannot_be_replayed() -> None:
    async with FakeEngine() as engine, Door() as door:
        await door.join(engine)
        voice = door.voices["m.0"]
        recorded = voice.beat("ready")
        await door.tell(recorded)
        await door.tell(voice.beat("stopped"))
        assert not await door.replicas()
        await door.tell(recorded)
        assert not await door.replicas()


async def test_a_heartbeat_from_long_ago_is_refused_even_by_a_gateway_that_knows_nothing() -> None:
    async with Door() as door:
        voice = WorkerVoice("m.0", record("m"))
        voice.seq -= int((LONGEST_SKEW_SECONDS + 60) * 1e9)
        told = await refused(door, voice.beat("ready"))
        assert told.status == 401
        assert "clock" in error_of(told)["message"]


@pytest.mark.parametrize(
    ("deployment", "replica"), [("all", "all.0"), ("../x", "../x.0"), ("a b", "a b.0"), ("m", "n.0")]
)
async def test_a_heartbeat_with_names_that_no_fleet_file_may_hold_is_refused(deployment: str, replica: str) -> None:
    async with Door() as door:
        told = await refused(door, WorkerVoice(replica, record(deployment)).beat("ready"))
        assert told.status == 400
        assert not await door.replicas()
