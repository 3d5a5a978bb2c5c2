"""Replicas that answer, but badly: how they are left alone, and how they come back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import pytest
from door import Door, record

from argosy.gateway.prober import QUESTION_ID
from argosy.protocol.deployment import DeploymentRecord
from argosy.registry import health
from engines import Asked, FakeEngine, Play, Stage, answer, reset_after, silent_after

BROKEN = answer({"error": {"message": "CUDA error: an illegal memory access was encountered"}}, 500)


def is_probe(asked: Asked) -> bool:
    return asked.method == "GET" or asked.headers["x-request-id"] == QUESTION_ID.decode()


class Patient(FakeEngine):
    """Answers probes as `well` says, and requests by `treatment`."""

    def __init__(self, treatment: Play) -> None:
        super().__init__()
        self.treatment = treatment
        self.well = True
        self.probes = 0
        self.plays = Always(self._play)

    async def _play(self, stage: Stage) -> None:
        if is_probe(stage.asked):
            self.probes += 1
            await (answer({}) if self.well else answer({}, 500))(stage)
        else:
            await self.treatment(stage)

    @property
    def requests(self) -> int:
        return sum(not is_probe(asked) for asked in self.asked)


class Always(deque[Play]):
    """A line of plays that has the same one in front whenever it is asked."""

    def __init__(self, play: Play) -> None:
        super().__init__([play])

    def popleft(self) -> Play:
        return self[0]


@pytest.fixture
async def sound() -> AsyncIterator[FakeEngine]:
    async with FakeEngine() as engine:
        yield engine


def two(**limits: float) -> DeploymentRecord:
    return record(replicas=2, policy="round_robin", limits=limits)


async def until_routable(door: Door, replica: str, *, routable: bool) -> None:
    async with asyncio.timeout(10):
        while (replica in [each.id for each in door.registry.deployments["m"].routable]) is not routable:
            await door.again()


@pytest.mark.parametrize("death", [BROKEN, reset_after()], ids=["answers 500", "dies of each"])
async def test_a_replica_that_fails_every_request_is_left_alone(sound: FakeEngine, death: Play) -> None:
    async with Patient(death) as sick, Door() as door:
        sick.well = False
        await door.join(sick, "m.0", deployment=two())
        await door.join(sound, "m.1", deployment=two())
        statuses = [(await door.chat()).status for _ in range(20)]
        assert statuses[10:] == [200] * 10
        assert sick.requests <= health.FAILURES_TO_EJECT
        view = (await door.replicas())["m.0"]
        assert not view.routable
        assert view.reason


async def fail_often(door: Door, sick: Patient, sound: FakeEngine) -> None:
    """One of two replicas fails until it is left alone."""
    sick.well = False
    await door.join(sick, "m.0", deployment=two())
    await door.join(sound, "m.1", deployment=two())
    for _ in range(10):
        await door.chat()


async def test_it_comes_back_by_a_probe_and_one_request_at_a_time(sound: FakeEngine) -> None:
    async with Patient(reset_after()) as sick, Door() as door:
        await fail_often(door, sick, sound)
        await until_routable(door, "m.0", routable=False)
        gate = asyncio.Event()

        async def slow(stage: Stage) -> None:
            await gate.wait()
            await answer()(stage)

        sick.treatment, sick.well = slow, True
        before = sick.requests
        await until_routable(door, "m.0", routable=True)
        waiting = [asyncio.create_task(door.chat()) for _ in range(6)]
        await sick.until(lambda: sick.requests == before + 1)
        async with asyncio.timeout(5):
            while sum(task.done() for task in waiting) < 5:
                await door.again()
        assert sick.requests == before + 1
        gate.set()
        assert [(await task).status for task in waiting] == [200] * 6
        assert door.registry.replicas["m.0"].capacity == 100


async def test_a_replica_that_hangs_is_found_out_by_a_probe_before_five_have_waited_in_vain(sound: FakeEngine) -> None:
    async with Patient(silent_after()) as hung, Door() as door:
        hung.well = False
        deployment = two(first_token=0.3)
        await door.join(hung, "m.0", deployment=deployment)
        await door.join(sound, "m.1", deployment=deployment)
        while hung.requests < health.FAILURES_TO_PROBE:
            await door.chat(stream=True)
        await until_routable(door, "m.0", routable=False)
        assert hung.requests == health.FAILURES_TO_PROBE
        assert hung.probes >= 1


async def test_what_clients_do_wrong_ejects_nobody(sound: FakeEngine) -> None:
    refusal = answer({"error": {"message": "no such grammar"}}, 400)
    async with Patient(refusal) as strict, Door() as door:
        strict.well = False
        await door.join(strict, "m.0", deployment=two())
        await door.join(sound, "m.1", deployment=two())
        statuses = [(await door.chat()).status for _ in range(24)]
        assert statuses.count(400) == 12
        assert (await door.replicas())["m.0"].routable


async def test_the_only_replica_is_asked_however_often_it_fails() -> None:
    async with Patient(BROKEN) as sick, Door() as door:
        await door.join(sick)
        assert [(await door.chat()).status for _ in range(10)] == [500] * 10
        assert sick.requests == 10
        assert (await door.replicas())["m.0"].routable


async def test_metrics_count_the_ejection_and_the_errors(sound: FakeEngine) -> None:
    async with Patient(BROKEN) as sick, Door() as door:
        await fail_often(door, sick, sound)
        text = (await door.request("GET", "/metrics")).body.decode()
        assert 'argosy_replica_ejections_total{model_name="m",replica="m.0"} 1.0' in text
        assert 'argosy_replica_routable{model_name="m",replica="m.0"} 0.0' in text


async def test_errors_that_are_the_requests_own_fault_cost_a_sound_replica_a_second_at_most(sound: FakeEngine) -> None:
    async with Patient(BROKEN) as blamed, Door() as door:
        await door.join(blamed, "m.0", deployment=two())
        await door.join(sound, "m.1", deployment=two())
        for _ in range(10):
            await door.chat()
        began = asyncio.get_running_loop().time()
        await until_routable(door, "m.0", routable=True)
        assert asyncio.get_running_loop().time() - began < 1
        for _ in range(20):  # it is known now
            await door.chat()
            assert (await door.replicas())["m.0"].routable
        question = next(asked for asked in blamed.asked if asked.method == "POST" and is_probe(asked))
        assert question.json == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}


async def test_a_gpu_that_is_gone_is_found_by_a_question_though_health_is_well(sound: FakeEngine) -> None:
    async def gone(stage: Stage) -> None:
        await (answer({}) if stage.asked.method == "GET" else BROKEN)(stage)

    async with FakeEngine() as sick, Door() as door:
        sick.plays = Always(gone)
        await door.join(sick, "m.0", deployment=two())
        await door.join(sound, "m.1", deployment=two())
        while sum(not is_probe(asked) for asked in sick.asked) < health.FAILURES_TO_PROBE:
            await door.chat()
        await until_routable(door, "m.0", routable=False)
        assert "was answered 500" in (await door.replicas())["m.0"].reason
