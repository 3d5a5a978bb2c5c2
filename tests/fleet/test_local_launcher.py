"""The launcher of this machine, with a stand-in for the worker that keeps its contract: status, drain, exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from argosy.fleet.launcher import LaunchedReplica
from argosy.fleet.local import LocalLauncher
from argosy.processes.identity import ProcessIdentity
from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.replica import ReplicaSpec, ReplicaState
from argosy.state import FleetFolder, ProcessRecord, read_json, write_json
from waiting import eventually

STAND_IN = """
import json, os, pathlib, signal, subprocess, sys
spec = pathlib.Path(sys.argv[1]); said = json.loads(spec.read_text()); options = said["config"].get("options", {})
def say(state):
    status = dict(id=said["id"], generation=said["generation"], epoch=1, state=state, since=1.0, worker_pid=os.getpid())
    temporary = spec.with_name("status.tmp"); temporary.write_text(json.dumps(status))
    temporary.replace(spec.with_name("status.json"))
asked = []
def on_signal(*_):
    asked.append(1)
    say("draining")
    if options.get("slow") and len(asked) < 2:
        return
    say("stopped"); sys.exit(0)
signal.signal(signal.SIGTERM, on_signal)
say("ready"); print("ready", flush=True)
while True:
    signal.pause()
"""


def spec(replica: str = "a.0", generation: int = 1, **options: object) -> ReplicaSpec:
    return ReplicaSpec(
        id=replica,
        generation=generation,
        deployment=DeploymentRecord(name="a", revision=1),
        config={"engine": "echo", "options": options},
        gateways=[],
        grace_seconds=1,
    )


@pytest.fixture
def folder(tmp_path: Path) -> FleetFolder:
    return FleetFolder(tmp_path / "demo")


@pytest.fixture
async def launcher(folder: FleetFolder) -> AsyncIterator[LocalLauncher]:
    launcher = make(folder)
    yield launcher
    hurry = asyncio.Event()
    hurry.set()
    for each in await launcher.list():
        await launcher.stop(each.id, grace_seconds=0, hurry=hurry)
    await launcher.list()  # takes zombies away
    await launcher.close()


def make(folder: FleetFolder) -> LocalLauncher:
    return LocalLauncher(folder, argv=(sys.executable, "-c", STAND_IN))


async def ready(launcher: LocalLauncher, replica: str = "a.0") -> LaunchedReplica:
    while True:
        for each in await launcher.list():
            if each.id == replica and each.ready:
                return each
        async for _ in launcher.watch():
            break


async def test_a_started_worker_has_its_own_session_and_log(launcher: LocalLauncher, folder: FleetFolder) -> None:
    await launcher.start(spec())
    found = await ready(launcher)
    assert found.worker_pid is not None
    assert os.getsid(found.worker_pid) == found.worker_pid
    assert psutil.Process(found.worker_pid).cwd() == str(folder.root)
    assert launcher.last_lines("a.0") == "ready"


async def test_starting_what_runs_changes_nothing(launcher: LocalLauncher) -> None:
    await launcher.start(spec())
    before = await ready(launcher)
    await launcher.start(spec())
    assert (await ready(launcher)).worker_pid == before.worker_pid


async def test_another_launcher_adopts_what_runs(launcher: LocalLauncher, folder: FleetFolder) -> None:
    await launcher.start(spec())
    before = await ready(launcher)
    adopting = make(folder)
    try:
        assert (await ready(adopting)).worker_pid == before.worker_pid
    finally:
        await adopting.close()


async def test_a_worker_whose_start_was_not_recorded_is_adopted(launcher: LocalLauncher, folder: FleetFolder) -> None:
    await launcher.start(spec())
    before = await ready(launcher)
    folder.replica("a.0").process.unlink()  # its launcher was killed just then
    assert (await ready(launcher)).worker_pid == before.worker_pid


async def test_a_strangers_pid_is_neither_adopted_nor_signalled(launcher: LocalLauncher, folder: FleetFolder) -> None:
    files = folder.replica("a.0")
    write_json(files.spec, spec())
    write_json(files.process, ProcessRecord(identity=ProcessIdentity(os.getpid(), 1.0)))
    assert [each.alive for each in await launcher.list()] == [False]
    await launcher.stop("a.0", grace_seconds=0)


async def test_how_a_worker_ended_is_told(launcher: LocalLauncher) -> None:
    await launcher.start(spec())
    found = await ready(launcher)
    assert found.worker_pid is not None
    hints = launcher.watch()
    os.kill(found.worker_pid, signal.SIGKILL)
    async for hint in hints:
        if hint == "a.0" and not (listed := (await launcher.list())[0]).alive:
            break
    assert listed.end == "was killed by SIGKILL"


async def test_stop_lets_it_drain(launcher: LocalLauncher) -> None:
    await launcher.start(spec())
    await ready(launcher)
    await launcher.stop("a.0", grace_seconds=5)
    found = (await launcher.list())[0]
    assert not found.alive
    assert found.says(ReplicaState.STOPPED)
    assert found.end == "exited with code 0"


async def test_hurry_cuts_the_drain_short(launcher: LocalLauncher) -> None:
    await launcher.start(spec(slow=True))
    await ready(launcher)
    hurry = asyncio.Event()
    stopping = asyncio.create_task(launcher.stop("a.0", grace_seconds=600, hurry=hurry))
    await eventually(lambda: '"draining"' in launcher._folder.replica("a.0").status.read_text())
    assert not stopping.done()
    hurry.set()
    await asyncio.wait_for(stopping, 5)
    assert not (await launcher.list())[0].alive


async def test_stopping_twice_does_not_hurry(launcher: LocalLauncher) -> None:
    await launcher.start(spec(slow=True))
    await ready(launcher)
    hurry = asyncio.Event()
    stops = [asyncio.create_task(launcher.stop("a.0", grace_seconds=600, hurry=hurry)) for _ in range(2)]
    done, _ = await asyncio.wait(stops, timeout=0.5)
    assert not done
    hurry.set()
    await asyncio.wait_for(asyncio.gather(*stops), 5)


async def test_stopping_another_generation_touches_nothing(launcher: LocalLauncher) -> None:
    await launcher.start(spec(generation=2))
    await ready(launcher)
    await launcher.stop("a.0", 1, grace_seconds=0)
    assert (await launcher.list())[0].alive


async def test_what_a_dead_worker_left_behind_is_ended(launcher: LocalLauncher, folder: FleetFolder) -> None:
    await launcher.start(spec())
    await ready(launcher)
    left = await asyncio.create_subprocess_exec(sys.executable, "-c", "import signal; signal.pause()")
    write_json(folder.replica("a.0").engine, [ProcessIdentity.of(left.pid)])
    await launcher.stop("a.0", grace_seconds=5)
    assert await asyncio.wait_for(left.wait(), 5) == -signal.SIGKILL


async def test_workers_started_by_hand_are_not_listed(launcher: LocalLauncher, folder: FleetFolder) -> None:
    write_json(folder.replica("a.0a1b2c").spec, spec("a.0a1b2c"))
    assert await launcher.list() == []
    assert read_json(folder.replica("a.0a1b2c").spec, ReplicaSpec) is not None
