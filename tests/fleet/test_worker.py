"""A replica's life as its gateways and its folder see it."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from worker_stage import Gateway, fleet_folder, gateway, worker

from argosy.processes.identity import ProcessIdentity, wait_gone
from argosy.protocol.heartbeat import HeartbeatAnswer, engine_key
from argosy.protocol.replica import ReplicaStatus
from argosy.protocol.replica_log import LogQuery
from argosy.state import FleetFolder, read_json, write_json
from argosy.wire.client import Client
from argosy.worker.reservations import Reservation

ECHO: dict[str, Any] = {"engine": "echo", "options": {"slots": 3}}


@pytest.fixture
def folder(tmp_path: Path) -> FleetFolder:
    return fleet_folder(tmp_path)


@pytest.fixture
async def door(folder: FleetFolder) -> AsyncIterator[Gateway]:
    async with gateway(folder.make_secret("join_token")) as made:
        yield made


def ready(status: ReplicaStatus) -> bool:
    return status.state == "ready"


def tree(folder: FleetFolder, status: ReplicaStatus) -> list[ProcessIdentity]:
    assert status.engine_pid is not None
    recorded = read_json(folder.replica(status.id).engine, list[ProcessIdentity])
    assert recorded
    return [ProcessIdentity.of(status.engine_pid), *recorded]


async def test_a_ready_replica_tells_where_it_is_and_its_key_is_derived(folder: FleetFolder, door: Gateway) -> None:
    async with worker(folder, [door.url], ECHO) as stage:
        status = await door.hears(ready)
        assert (status.concurrency, status.worker_pid) == (3, stage.process.pid)
        # The file may have been written once more since, with the memory as it is now.
        assert replace(stage.status, memory_bytes=None) == replace(status, memory_bytes=None)
        key, client = engine_key(door.join_token, status.id, status.epoch), Client()
        headers = {"authorization": f"Bearer {key}"}
        answer = await client.request("GET", f"{status.address}/v1/models", headers=headers, seconds=5)
        assert answer.status == 200
        await client.close()
        seqs = [beat.seq for beat in door.heard]
        assert seqs == sorted(set(seqs))


async def test_a_drained_worker_waits_for_its_last_request_and_leaves_nothing(
    folder: FleetFolder, door: Gateway
) -> None:
    door.answer = HeartbeatAnswer(in_flight=1)
    async with worker(folder, [door.url], ECHO) as stage:
        members = tree(folder, await door.hears(ready))
        stage.process.send_signal(signal.SIGTERM)
        draining = await door.hears(lambda status: status.state == "draining")
        assert draining.address is not None
        await door.hears(lambda status: status.state == "draining" and len(door.heard) > 3)
        assert all(who.alive for who in members)
        door.answer = HeartbeatAnswer(in_flight=0)
        await door.hears(lambda status: status.state == "stopped")
        assert await stage.ends() == 0
        assert wait_gone(members, 0) == []
        assert stage.status.state == "stopped"


async def test_a_second_signal_does_not_wait(folder: FleetFolder, door: Gateway) -> None:
    door.answer = HeartbeatAnswer(in_flight=1)
    async with worker(folder, [door.url], ECHO) as stage:
        members = tree(folder, await door.hears(ready))
        stage.process.send_signal(signal.SIGTERM)
        await door.hears(lambda status: status.state == "draining")
        stage.process.send_signal(signal.SIGINT)
        assert await stage.ends(3) == 0
        assert wait_gone(members, 0) == []


async def test_the_grace_ends_a_drain(folder: FleetFolder, door: Gateway) -> None:
    door.answer = HeartbeatAnswer(in_flight=1)
    async with worker(folder, [door.url], ECHO, grace_seconds=0.2) as stage:
        await door.hears(ready)
        stage.process.send_signal(signal.SIGTERM)
        assert await stage.ends(5) == 0


async def test_a_gateway_can_ask_for_the_drain(folder: FleetFolder, door: Gateway) -> None:
    async with worker(folder, [door.url], ECHO) as stage:
        await door.hears(ready)
        door.answer = HeartbeatAnswer(commands=["a word of tomorrow", "drain"])
        assert await stage.ends() == 0


async def test_a_gateway_can_ask_for_an_end_that_waits_for_nothing(folder: FleetFolder, door: Gateway) -> None:
    async with worker(folder, [door.url], ECHO) as stage:
        members = tree(folder, await door.hears(ready))
        door.answer = HeartbeatAnswer(in_flight=1, commands=["stop"])
        assert await stage.ends(5) == 0
        assert wait_gone(members, 0) == []
        assert stage.log.count("replica.stop_asked") == 1, "told again and again, done once"


async def test_orders_without_the_fleets_signature_are_not_followed(folder: FleetFolder, door: Gateway) -> None:
    async with worker(folder, [door.url], ECHO) as stage:
        await door.hears(ready)
        door.forged, door.answer = True, HeartbeatAnswer(commands=["stop"], logs=[LogQuery(id="q", lines=5)])
        before = len(door.heard)
        await door.hears(lambda status: len(door.heard) >= before + 3)
        assert stage.process.returncode is None
        assert not door.parts
        assert "gave an order that is not signed with the fleet's join token: not followed" in stage.log


async def test_a_gateway_gets_the_end_of_the_log_and_what_follows_it(folder: FleetFolder, door: Gateway) -> None:
    async with worker(folder, [door.url], ECHO) as stage:
        await door.hears(ready)
        door.answer = HeartbeatAnswer(logs=[LogQuery(id="last", lines=1)])
        part = await door.receives("last")
        assert part.replica == "fake.0"
        assert b" INFO replica.ready replica=fake.0 " in part.data
        assert part.data.count(b"\n") == 1
        with folder.log("fake.0").open("a") as log:
            log.write("words of the engine\n")
        door.answer = HeartbeatAnswer(logs=[LogQuery(id="more", after=part.end)])
        more = await door.receives("more")
        assert (more.data, more.end) == (b"words of the engine\n", len(stage.log))


async def test_a_worker_that_is_killed_leaves_nothing_a_second_later(folder: FleetFolder, door: Gateway) -> None:
    async with worker(folder, [door.url], ECHO) as stage:
        members = tree(folder, await door.hears(ready))
        stage.kill()
        assert await asyncio.to_thread(wait_gone, members, 1.0) == []


async def test_a_killed_engine_is_started_again_with_another_key_and_the_reason_is_kept(
    folder: FleetFolder, door: Gateway
) -> None:
    async with worker(folder, [door.url], ECHO):
        first = await door.hears(ready)
        tree(folder, first)[0].send_signal(signal.SIGKILL)
        waiting = await door.hears(lambda status: status.state == "backoff")
        assert (
            "fake.0 was killed by SIGKILL, not by Argosy: probably by the kernel for want of memory" in waiting.reason
        )
        assert waiting.address is None
        again = await door.hears(ready)
        assert again.restarts == 1
        assert again.epoch > first.epoch


async def test_a_killed_guard_takes_the_engine_along_and_the_replica_comes_back(
    folder: FleetFolder, door: Gateway
) -> None:
    async with worker(folder, [door.url], ECHO):
        members = tree(folder, await door.hears(ready))
        members[1].send_signal(signal.SIGKILL)
        assert await asyncio.to_thread(wait_gone, members, 1.0) == []
        waiting = await door.hears(lambda status: status.state == "backoff")
        assert "guard" in waiting.reason
        await door.hears(ready)


async def test_an_epoch_grows_over_the_workers_own_death(folder: FleetFolder, door: Gateway) -> None:
    async with worker(folder, [door.url], ECHO):
        first = await door.hears(ready)
    async with worker(folder, [door.url], ECHO):
        assert (await door.hears(lambda status: ready(status) and status.epoch != first.epoch)).epoch > first.epoch


async def test_what_can_never_start_fails_at_once_and_everybody_hears_why(folder: FleetFolder, door: Gateway) -> None:
    async with worker(folder, [door.url], {"command": ["no-such-program", "{port}"]}) as stage:
        assert await stage.ends() == 1
        assert stage.status.state == door.heard[-1].status.state == "failed"
        assert "there is no such program" in stage.status.reason


async def test_a_replica_without_room_starts_once_another_has_made_some(folder: FleetFolder, door: Gateway) -> None:
    (folder.root.parent / "w.gguf").write_bytes(b"GGUF" * 100)
    other = folder.reservations / "other@a.0.json"
    everything = Reservation(
        replica="a.0", worker=ProcessIdentity.own(), weights="other", weights_bytes=0, cache_bytes=1 << 60
    )
    write_json(other, everything)
    config = {
        "source": str(folder.root.parent / "w.gguf"),
        "command": [sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1"],
        "ready": "/",
    }
    async with worker(folder, [door.url], config) as stage:
        refused = await door.hears(lambda status: status.state == "backoff")
        assert "are available here, beside what other replicas are to take" in refused.reason
        other.unlink()
        assert (await door.hears(ready)).restarts == 0
        stage.process.send_signal(signal.SIGTERM)
        assert await stage.ends() == 0


async def test_a_source_that_is_gone_fails_at_once(folder: FleetFolder, door: Gateway) -> None:
    async with worker(folder, [door.url], {"source": str(folder.root / "gone.gguf")}) as stage:
        assert await stage.ends() == 1
        assert "gone.gguf" in stage.status.reason


async def test_a_mute_gateway_holds_back_neither_another_nor_the_end(folder: FleetFolder, door: Gateway) -> None:
    async with gateway(door.join_token) as other, worker(folder, [other.url, door.url], ECHO) as stage:
        other.mute = True
        await door.hears(ready)
        before, began = len(door.heard), time.monotonic()
        await door.hears(lambda _: len(door.heard) >= before + 2)
        assert time.monotonic() - began < 3.5
        stage.process.send_signal(signal.SIGTERM)
        assert await stage.ends() == 0


async def test_a_heartbeats_answer_brings_new_gateways_and_takes_old_ones_away(
    folder: FleetFolder, door: Gateway
) -> None:
    async with gateway(door.join_token) as other, worker(folder, [door.url], ECHO):
        await door.hears(ready)
        door.answer = HeartbeatAnswer(gateways=[other.url])
        await other.hears(ready)
        old = len(door.heard)
        await other.hears(lambda _: len(other.heard) >= 3)
        assert len(door.heard) <= old + 1


async def test_engine_and_worker_write_into_one_log(folder: FleetFolder, door: Gateway) -> None:
    config = {"command": ["sh", "-c", "echo words of the engine; exit 5"]}
    async with worker(folder, [door.url], config) as stage:
        waiting = await door.hears(lambda status: status.state == "backoff")
        assert "fake.0 exited with code 5 before it was ready. Last lines: words of the engine" in waiting.reason
        assert "words of the engine\n" in stage.log
        assert " INFO replica.backoff replica=fake.0 " in stage.log
