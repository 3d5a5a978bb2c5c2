"""The controller over a launcher without processes: what it starts, stops, replaces, and what it leaves alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from argosy.config.schema import Fleet
from argosy.errors import NotFoundError
from argosy.fleet.companion import Companion
from argosy.fleet.controller import Controller
from argosy.protocol.admin import Event, ProcessReport, ReplicaView
from argosy.protocol.replica import ReplicaState
from argosy.state import DesiredState, FleetFolder, read_json
from fakes import FakeClock, FakeGateway, FakeLauncher
from waiting import eventually


def fleet(**deployments: dict[str, Any]) -> Fleet:
    return Fleet.model_validate(
        {"deployments": {name: {"engine": "echo", **each} for name, each in deployments.items()}}
    )


class Running:
    """A controller that runs, and everything around it."""

    def __init__(self, root: Path, wanted: Fleet, launcher: FakeLauncher, before: Fleet | None, **desired: Any) -> None:
        self.launcher = launcher
        self.gateway = FakeGateway()
        self.clock = FakeClock()
        self.folder = FleetFolder(root / "demo")
        self.changed = asyncio.Event()
        self.events: list[Event] = []
        self.controller = Controller(
            self.folder,
            launcher=launcher,
            gateway=self.gateway,
            companion=Companion(self.folder),  # wanted by none of these fleets
            desired=DesiredState(fleet=wanted.model_dump(mode="json", exclude_defaults=True), revision=1, **desired),
            before=before,
            address="http://127.0.0.1:2",
            own=ProcessReport(state="running", pid=1),
            changed=self.changed,
            clock=self.clock,
        )

    async def listen(self) -> None:
        async for event in self.controller.events.subscribe(self.controller.present):
            self.events.append(event)

    def later(self, seconds: float) -> None:
        self.clock.now += seconds
        self.changed.set()

    def states(self) -> dict[str, str]:
        report = self.controller.report()
        return {replica.id: replica.state for each in report.deployments for replica in each.replicas}

    def fleet_state(self) -> str:
        return next((event.state for event in reversed(self.events) if event.kind == "fleet"), "")

    async def ready(self, *replicas: str) -> None:
        for replica in replicas:
            await eventually(lambda replica=replica: replica in self.launcher.replicas, what=f"{replica} is started")
            self.launcher.say(replica, ReplicaState.READY)
        await eventually(lambda: all(self.states().get(each) == "ready" for each in replicas))


Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    @asynccontextmanager
    async def running(
        wanted: Fleet, launcher: FakeLauncher | None = None, before: Fleet | None = None, **desired: Any
    ) -> AsyncIterator[Running]:
        each = Running(tmp_path, wanted, launcher or FakeLauncher(), before, **desired)
        tasks = [asyncio.create_task(each.controller.run()), asyncio.create_task(each.listen())]
        try:
            yield each
        finally:
            each.launcher.may_stop.set()
            each.controller.down(now=True)
            await asyncio.wait_for(asyncio.gather(*tasks), 5)

    return running


async def test_wanted_replicas_are_started_and_the_fleet_is_ready_once_all_are(run: Run) -> None:
    async with run(fleet(a={"replicas": 2})) as running:
        await running.ready("a.0")
        assert running.fleet_state() == "starting"
        await running.ready("a.1")
        await eventually(lambda: running.fleet_state() == "ready")
        assert sorted(running.launcher.started) == [("a.0", 1), ("a.1", 1)]


async def test_what_runs_already_is_adopted(run: Run) -> None:
    launcher = FakeLauncher()
    async with run(fleet(a={}), launcher) as first:
        await first.ready("a.0")
        adopted = dict(launcher.replicas)
    launcher.replicas = adopted
    launcher.started.clear()
    async with run(fleet(a={}), launcher, before=fleet(a={})) as second:
        await eventually(lambda: second.fleet_state() == "ready")
        assert launcher.started == []
        assert not second.gateway.outdated


async def test_a_dead_worker_is_started_again_after_its_pause(run: Run) -> None:
    async with run(fleet(a={})) as running:
        await running.ready("a.0")
        running.launcher.die("a.0")
        await eventually(lambda: running.states()["a.0"] == "backoff")
        assert running.launcher.started == [("a.0", 1)]
        running.later(1.0)
        await eventually(lambda: len(running.launcher.started) == 2)
        await running.ready("a.0")
        assert running.controller.report().deployments[0].replicas[0].restarts == 1


async def test_one_deployment_fails_and_the_other_serves(run: Run) -> None:
    async with run(fleet(bad={}, good={})) as running:
        await running.ready("good.0")
        running.launcher.say("bad.0", ReplicaState.FAILED, "no such model")
        running.launcher.die("bad.0", "exited with code 1")
        await eventually(lambda: running.fleet_state() == "failed")
        assert running.states() == {"bad.0": "failed", "good.0": "ready"}
        await eventually(lambda: running.gateway.tables[-1].failed == {"bad.0": "no such model"})


async def test_applying_again_tries_again_what_failed(run: Run) -> None:
    async with run(fleet(bad={})) as running:
        await eventually(lambda: running.launcher.started)
        running.launcher.say("bad.0", ReplicaState.FAILED, "no such model")
        running.launcher.die("bad.0", "exited with code 1")
        await eventually(lambda: running.fleet_state() == "failed")
        await running.controller.apply(fleet(bad={}))
        assert running.launcher.started == [("bad.0", 1), ("bad.0", 1)]


async def test_applying_stops_what_is_removed_starts_what_is_new_and_leaves_the_rest(run: Run) -> None:
    async with run(fleet(old={}, same={})) as running:
        await running.ready("old.0", "same.0")
        await running.controller.apply(fleet(same={"aliases": ["other"]}, new={}))
        await running.ready("new.0")
        await eventually(lambda: not running.launcher.replicas["old.0"].alive)
        assert running.launcher.stopped == ["old.0"]
        assert ("same.0", 2) not in running.launcher.started
        await eventually(lambda: running.gateway.tables[-1].deployments[0].aliases == ["other"])


async def test_changed_replicas_are_replaced_one_after_the_other(run: Run) -> None:
    async with run(fleet(a={"replicas": 2})) as running:
        await running.ready("a.0", "a.1")
        await eventually(lambda: running.fleet_state() == "ready")
        running.launcher.may_stop.clear()
        await running.controller.apply(fleet(a={"replicas": 2, "options": {"slots": 2}}))
        assert running.launcher.stopped == ["a.0"]
        running.launcher.may_stop.set()
        await eventually(lambda: ("a.0", 2) in running.launcher.started)
        assert running.launcher.stopped == ["a.0"]
        assert running.fleet_state() == "starting"
        await running.ready("a.0")
        await eventually(lambda: ("a.1", 2) in running.launcher.started)
        await running.ready("a.1")
        await eventually(lambda: running.fleet_state() == "ready")


async def test_a_replacement_that_fails_leaves_the_others_serving(run: Run) -> None:
    async with run(fleet(a={"replicas": 2})) as running:
        await running.ready("a.0", "a.1")
        await running.controller.apply(fleet(a={"replicas": 2, "options": {"slots": 2}}))
        await eventually(lambda: ("a.0", 2) in running.launcher.started)
        running.launcher.say("a.0", ReplicaState.FAILED, "bad options")
        running.launcher.die("a.0", "exited with code 1")
        await eventually(lambda: running.fleet_state() == "failed")
        assert running.launcher.stopped == ["a.0"]
        assert running.states() == {"a.0": "failed", "a.1": "ready"}


async def test_stop_lasts_until_start(run: Run) -> None:
    async with run(fleet(a={}, b={})) as running:
        await running.ready("a.0", "b.0")
        await running.controller.stop("a")
        await eventually(lambda: not running.launcher.replicas["a.0"].alive)
        desired = read_json(running.folder.desired, DesiredState)
        assert desired is not None
        assert desired.stopped == ["a"]
        await eventually(lambda: running.gateway.tables[-1].deployments[0].stopped)
        running.later(1000)
        await eventually(lambda: running.fleet_state() == "ready")
        assert running.launcher.started == [("a.0", 1), ("b.0", 1)]
        await running.controller.start("a")
        assert running.launcher.started[-1] == ("a.0", 1)


async def test_a_restart_replaces_every_replica_one_after_the_other(run: Run) -> None:
    async with run(fleet(a={"replicas": 2}, b={})) as running:
        await running.ready("a.0", "a.1", "b.0")
        await running.controller.restart("a")
        await eventually(lambda: ("a.0", 2) in running.launcher.started)
        assert running.launcher.stopped == ["a.0"]
        await running.ready("a.0")
        await eventually(lambda: ("a.1", 2) in running.launcher.started)
        await running.ready("a.1")
        await eventually(lambda: running.fleet_state() == "ready")
        assert running.launcher.stopped == ["a.0", "a.1"]


async def test_a_restart_is_carried_on_by_the_next_controller(run: Run) -> None:
    launcher = FakeLauncher()
    async with run(fleet(a={"replicas": 2}), launcher) as first:
        await first.ready("a.0", "a.1")
        await first.controller.restart("a")
        await eventually(lambda: ("a.0", 2) in launcher.started)
        launcher.may_stop.clear()
        await first.ready("a.0")
        half, desired = dict(launcher.replicas), read_json(first.folder.desired, DesiredState)
    assert desired is not None
    launcher.replicas = half
    launcher.started.clear()
    async with run(fleet(a={"replicas": 2}), launcher, restarts=desired.restarts) as second:
        await eventually(lambda: launcher.started == [("a.1", 2)])
        await second.ready("a.1")


async def test_a_restart_tries_again_what_had_failed(run: Run) -> None:
    async with run(fleet(bad={})) as running:
        await eventually(lambda: running.launcher.started)
        running.launcher.say("bad.0", ReplicaState.FAILED, "no such model")
        running.launcher.die("bad.0", "exited with code 1")
        await eventually(lambda: running.fleet_state() == "failed")
        await running.controller.restart("bad")
        await eventually(lambda: running.launcher.started == [("bad.0", 1), ("bad.0", 2)])


async def test_scaling_starts_and_stops_only_the_difference(run: Run) -> None:
    async with run(fleet(a={})) as running:
        await running.ready("a.0")
        await running.controller.scale("a", 3)
        await running.ready("a.1", "a.2")
        await running.controller.scale("a", 1)
        await eventually(lambda: list(running.states()) == ["a.0"])
        assert sorted(running.launcher.stopped) == ["a.1", "a.2"]
        assert running.launcher.started == [("a.0", 1), ("a.1", 1), ("a.2", 1)]


async def test_replicas_too_many_serve_until_one_that_stays_does(run: Run) -> None:
    async with run(fleet(a={"replicas": 3})) as running:
        await running.ready("a.0", "a.1", "a.2")
        await running.controller.apply(fleet(a={"options": {"slots": 2}}))
        await eventually(lambda: ("a.0", 2) in running.launcher.started)
        assert running.launcher.stopped == ["a.0"]
        await running.ready("a.0")
        await eventually(lambda: list(running.states()) == ["a.0"])


async def test_a_drained_replica_stays_out_until_it_is_started(run: Run) -> None:
    async with run(fleet(a={"replicas": 2})) as running:
        await running.ready("a.0", "a.1")
        await running.controller.drain("a.0")
        await eventually(lambda: running.states() == {"a.0": "stopped", "a.1": "ready"})
        report = running.controller.report().deployments[0]
        assert (report.wanted, report.ready) == (1, 1)
        assert report.replicas[0].reason == "drained; `argosy start a.0` brings it back"
        await eventually(lambda: running.gateway.tables[-1].deployments[0].replicas == 1)
        running.later(1000)
        await eventually(lambda: running.fleet_state() == "ready")
        assert running.launcher.started == [("a.0", 1), ("a.1", 1)]
        await running.controller.start("a.0")
        await running.ready("a.0")
        assert running.launcher.started[-1] == ("a.0", 1)


async def test_what_needs_no_other_start_is_told_to_the_worker(run: Run) -> None:
    async with run(fleet(a={})) as running:
        await running.ready("a.0")
        await running.controller.apply(fleet(a={"concurrency": 3}))
        assert running.launcher.amended == ["a.0"]
        assert running.launcher.replicas["a.0"].spec.config["concurrency"] == 3
        await running.controller.apply(fleet(a={"concurrency": 3}))
        assert running.launcher.amended == ["a.0"]
        assert running.launcher.started == [("a.0", 1)]


async def test_an_unknown_deployment_is_named_with_those_that_exist(run: Run) -> None:
    async with run(fleet(a={})) as running:
        with pytest.raises(NotFoundError, match="no deployment 'x'; it has: a"):
            await running.controller.stop("x")


async def test_down_stops_all_and_ends_the_events(run: Run) -> None:
    async with run(fleet(a={"replicas": 2})) as running:
        await running.ready("a.0", "a.1")
        running.controller.down(now=False)
        await eventually(lambda: running.fleet_state() == "stopped")
    assert sorted(running.launcher.stopped) == ["a.0", "a.1"]
    assert not running.folder.desired.exists()


async def test_a_revision_always_grows(run: Run) -> None:
    async with run(fleet(a={})) as running:
        first = running.controller.apply(fleet(a={}))
        await first
        before = read_json(running.folder.desired, DesiredState)
        await running.controller.apply(fleet(a={}))
        after = read_json(running.folder.desired, DesiredState)
        assert before is not None
        assert after is not None
        assert after.revision > before.revision > time.time() * 1000 - 60_000


async def test_a_replica_that_the_gateway_leaves_alone_says_why(run: Run) -> None:
    async with run(fleet(m={})) as running:
        await running.ready("m.0")
        running.gateway.views = [
            ReplicaView(
                id="m.0",
                deployment="m",
                state="ready",
                reason="5 requests failed in a row",
                address=None,
                in_flight=0,
                routable=False,
            )
        ]
        running.changed.set()  # as the controller does that finds its gateway's views changed
        told = "the gateway leaves it alone: 5 requests failed in a row"
        await eventually(lambda: running.controller.report().deployments[0].replicas[0].reason == told)
        assert running.states() == {"m.0": "ready"}
