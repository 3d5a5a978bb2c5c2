"""When whom is asked how it is, by a clock that the test holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from argosy.gateway.prober import Prober
from argosy.gateway.upstreams import Upstreams
from argosy.registry import health
from argosy.registry.records import Replica
from argosy.registry.registry import Registry
from engines import FakeEngine, answer
from fakes import FakeClock
from voices import WorkerVoice
from waiting import eventually


class Ward:
    """Two replicas, m.0 at the engine, and who asks how it is."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.clock = FakeClock()
        self.registry = Registry()
        self.voices = [WorkerVoice(f"m.{index}", address=engine.address) for index in range(2)]
        self.beat()
        self.prober = Prober(self.registry, Upstreams("join token", {}), self.clock)

    @property
    def replica(self) -> Replica:
        return self.registry.replicas["m.0"]

    def beat(self) -> None:
        for voice in self.voices:
            self.registry.apply_heartbeat(voice.beat(), self.clock())

    def fail(self, times: int) -> None:
        self.beat()
        for _ in range(times):
            self.registry.report_failure(self.replica, "engine_error", "it answered 500", self.clock())

    async def probes(self, count: int) -> None:
        """So many in all, the last one answered."""
        self.beat()
        self.prober.tend()
        await self.engine.until_asked(count)
        await eventually(lambda: not asking())
        assert len(self.engine.asked) == count

    def looks(self, seconds: float) -> None:
        """Time passes, and whoever is due is asked."""
        self.clock.now += seconds
        self.prober.tend()


def asking() -> bool:
    """Whether a probe is on its way."""
    return any("Prober" in repr(task.get_coro()) for task in asyncio.all_tasks())


@pytest.fixture
async def ward(engine: FakeEngine) -> AsyncIterator[Ward]:
    ward = Ward(engine)
    yield ward
    await ward.prober.close()


async def test_who_is_well_is_not_asked(ward: Ward) -> None:
    ward.fail(health.FAILURES_TO_PROBE - 1)
    ward.prober.tend()
    assert not asking()


async def test_who_looks_bad_is_asked_at_once_and_then_seldom(ward: Ward) -> None:
    ward.fail(health.FAILURES_TO_PROBE)
    await ward.probes(1)
    ward.looks(1)
    assert not asking()
    ward.engine.plays.append(answer({}, 500))
    ward.looks(60)
    await eventually(lambda: ward.replica.ejected)
    assert ward.replica.fault == "GET /health was answered 500"


async def test_the_first_ejection_is_probed_at_once_and_a_relapse_after_a_pause_that_grows(ward: Ward) -> None:
    ward.fail(health.FAILURES_TO_EJECT)
    await ward.probes(1)
    for relapse in (2, 3, 4):
        ward.fail(1)
        pause = health.pause_seconds(relapse)
        ward.looks(0)
        ward.looks(pause - 0.01)
        assert not asking()
        ward.clock.now += 0.02
        await ward.probes(relapse)
