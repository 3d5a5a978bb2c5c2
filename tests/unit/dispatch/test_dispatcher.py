from __future__ import annotations

import asyncio
import random

import pytest

from argosy.dispatch.dispatcher import Dispatcher, Lease
from argosy.errors import OverloadedError, UnavailableError
from argosy.protocol.admin import FleetTable
from argosy.protocol.deployment import DeploymentRecord
from argosy.registry.records import Deployment, Replica
from argosy.registry.registry import Registry
from fakes import FakeAsked, FakeClock
from voices import WorkerVoice

ASKED = FakeAsked()


class Stage:
    """A registry with one deployment, m, and its dispatcher."""

    def __init__(self, replicas: int = 1, concurrency: int = 1, **record: object) -> None:
        self.registry = Registry()
        self.clock = FakeClock()
        self.dispatcher = Dispatcher(self.registry, clock=self.clock, draw=lambda: 0.5)
        self.record = DeploymentRecord(name="m", revision=1, **{"replicas": max(1, replicas), **record})  # type: ignore[arg-type]
        self.registry.apply_table(FleetTable(revision=1, deployments=[self.record]), 0)
        self.voices = list[WorkerVoice]()
        for _ in range(replicas):
            self.add(concurrency=concurrency)

    def add(self, **fields: object) -> None:
        voice = WorkerVoice(f"m.{len(self.voices)}", self.record, **fields)
        self.voices.append(voice)
        self.registry.apply_heartbeat(voice.beat(), 0)

    def tell(self, replica: int, state: str, **changes: object) -> None:
        self.registry.apply_heartbeat(self.voices[replica].beat(state, **changes), 0)

    def push(self, revision: int, *records: DeploymentRecord, **fields: object) -> None:
        table = FleetTable(revision=revision, deployments=list(records), **fields)  # type: ignore[arg-type]
        self.registry.apply_table(table, 0)

    @property
    def deployment(self) -> Deployment:
        return self.registry.deployments["m"]

    def replica(self, index: int) -> Replica:
        return self.registry.replicas[f"m.{index}"]

    def now(self, *tried: Replica) -> Lease | None:
        return self.dispatcher.lease_now(self.deployment, ASKED, [(each, each.status.epoch) for each in tried])

    def taken(self) -> Lease:
        lease = self.now()
        assert lease is not None
        return lease

    def replica_for(self, asked: FakeAsked) -> str:
        """Who gets this request, which ends at once."""
        lease = self.dispatcher.lease_now(self.deployment, asked)
        assert lease is not None
        lease.release()
        return lease.replica.id

    def waiting(self, *tried: Replica, seconds: float = 60, principal: str = "") -> asyncio.Task[Lease]:
        keys = [(each, each.status.epoch) for each in tried]
        lease = self.dispatcher.lease(self.deployment, ASKED, keys, seconds=seconds, principal=principal)
        return asyncio.ensure_future(lease)


async def settle() -> None:
    """Lets every task that can go on do so: nothing here waits for more than a few turns of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_lease_is_had_at_once_where_a_replica_is_free() -> None:
    stage = Stage()
    lease = await stage.waiting()
    assert (lease.replica.id, lease.replica.in_flight) == ("m.0", 1)
    lease.release()
    lease.release()
    assert stage.replica(0).in_flight == 0


async def test_requests_go_to_the_least_busy_replica_in_turn() -> None:
    stage = Stage(replicas=3, concurrency=2)
    leases = [stage.taken() for _ in range(6)]
    assert [lease.replica.id for lease in leases] == ["m.0", "m.1", "m.2"] * 2
    assert stage.now() is None


async def test_the_policy_is_the_deployments() -> None:
    stage = Stage(replicas=2, concurrency=9, policy="weighted_lottery")
    stage.tell(1, "ready", weight=99.0)
    assert [stage.taken().replica.id for _ in range(3)] == ["m.1"] * 3


def talk(name: str, turns: int = 1) -> FakeAsked:
    return FakeAsked(b'{"messages": [' + f"{name} speaks, ".encode() * 300 * turns)


async def test_a_conversation_stays_where_its_last_turn_was() -> None:
    stage = Stage(replicas=2, concurrency=9, policy="affinity")
    where = {name: stage.replica_for(talk(name)) for name in "abcd"}
    assert sorted(where.values()) == ["m.0", "m.0", "m.1", "m.1"]
    for turns in (2, 3):
        assert {name: stage.replica_for(talk(name, turns)) for name in "dacb"} == where


async def test_what_the_first_was_given_while_the_second_was_on_its_way_is_known() -> None:
    stage = Stage(replicas=1, concurrency=9, policy="affinity")
    stage.push(2, DeploymentRecord(name="m", revision=2, replicas=2, policy="affinity"))
    stage.replica_for(talk("a"))
    stage.add(concurrency=9)
    assert stage.replica_for(talk("b")) == "m.1", "it has been idle the longest"
    assert [stage.replica_for(talk("a")) for _ in range(3)] == ["m.0"] * 3


async def test_where_one_replica_is_all_that_is_wanted_nothing_is_remembered() -> None:
    stage = Stage(replicas=1, concurrency=9, policy="affinity")
    stage.replica_for(talk("a"))
    stage.add(concurrency=9)
    assert stage.replica_for(talk("a")) == "m.1"


async def test_a_request_does_not_wait_for_the_replica_that_knows_it() -> None:
    stage = Stage(replicas=2, policy="affinity")
    first = stage.dispatcher.lease_now(stage.deployment, talk("a"))
    assert first is not None
    assert first.replica.id == "m.0"
    assert stage.replica_for(talk("a", 2)) == "m.1"
    first.release()
    assert stage.replica_for(talk("a", 2)) == "m.1", "it knows the more"


async def test_a_replica_on_trial_gets_one_request_and_those_who_wait_come_once_it_has_passed() -> None:
    stage = Stage(replicas=2, concurrency=3, policy="round_robin")
    stage.registry.eject(stage.replica(0), "connection refused", 0)
    stage.registry.report_probe(stage.replica(0), None, 0)
    leases = [stage.taken() for _ in range(4)]
    assert sorted(lease.replica.id for lease in leases) == ["m.0", "m.1", "m.1", "m.1"]
    waiting = [stage.waiting() for _ in range(2)]
    await settle()
    assert not any(waiter.done() for waiter in waiting)
    stage.registry.report_success(stage.replica(0), 1)
    await settle()
    assert [waiter.result().replica.id for waiter in waiting] == ["m.0", "m.0"]


async def test_a_freed_slot_goes_to_the_first_in_line() -> None:
    stage = Stage()
    lease = stage.taken()
    line = [stage.waiting() for _ in range(4)]
    await settle()
    assert stage.dispatcher.waiting() == {"m": 4}
    for index, waiter in enumerate(line):
        lease.release()
        await settle()
        assert [each.done() for each in line] == [True] * (index + 1) + [False] * (3 - index)
        lease = waiter.result()
    lease.release()
    assert stage.replica(0).in_flight == 0
    assert stage.dispatcher.waiting() == {}


async def test_nobody_overtakes_those_who_wait() -> None:
    stage = Stage()
    lease = stage.taken()
    first = stage.waiting()
    await settle()
    lease.release()
    assert stage.now() is None, "the slot is granted to the first, though its task has not run yet"
    assert (await first).replica.id == "m.0"


async def test_a_slot_that_is_freed_while_a_grant_is_on_its_way_is_not_lost() -> None:
    stage = Stage(concurrency=2)
    leases = [stage.taken(), stage.taken()]
    first = stage.waiting()
    await settle()
    for lease in leases:
        lease.release()
    second = stage.waiting()  # comes before the first has left the line
    await settle()
    assert first.done() and second.done()


async def test_who_may_use_a_free_slot_passes_those_who_may_not() -> None:
    stage = Stage(replicas=2)
    stage.taken().release()  # so that m.1 comes first
    busy = stage.taken()
    assert busy.replica.id == "m.1"
    picky = stage.waiting(stage.replica(0))
    await settle()
    assert not picky.done()
    modest = stage.waiting()
    await settle()
    assert modest.done() and not picky.done()
    busy.release()
    assert (await picky).replica.id == "m.1"


async def test_a_replica_that_failed_a_request_is_not_chosen_for_it_again() -> None:
    stage = Stage(replicas=2, concurrency=5)
    assert [lease.replica.id for _ in range(3) if (lease := stage.now(stage.replica(0)))] == ["m.1"] * 3
    assert stage.now(stage.replica(0), stage.replica(1)) is None


async def test_a_new_incarnation_of_a_replica_that_failed_may_be_chosen() -> None:
    stage = Stage()
    waiter = stage.waiting(stage.replica(0))
    await settle()
    assert not waiter.done()
    stage.tell(0, "ready", epoch=2)
    await settle()
    assert waiter.result().replica.id == "m.0"


async def test_a_new_replica_takes_those_who_wait() -> None:
    stage = Stage(replicas=0)
    line = [stage.waiting() for _ in range(3)]
    await settle()
    stage.add(concurrency=2)
    await settle()
    assert [waiter.done() for waiter in line] == [True, True, False]
    stage.add()
    await settle()
    assert line[2].result().replica.id == "m.1"


async def test_a_replica_that_takes_more_than_before_takes_those_who_wait() -> None:
    stage = Stage()
    stage.taken()
    waiter = stage.waiting()
    await settle()
    stage.tell(0, "ready", concurrency=2)
    await settle()
    assert waiter.done()


async def test_a_line_that_is_full_is_told_at_once() -> None:
    stage = Stage(max_queue=2)
    stage.taken()
    line = [stage.waiting() for _ in range(2)]
    await settle()
    with pytest.raises(OverloadedError, match="m: 2 requests already wait") as told:
        await stage.waiting()
    assert (told.value.status, told.value.retry_after) == (429, 1)
    assert not any(waiter.done() for waiter in line)


async def test_no_line_at_all_may_be_wanted() -> None:
    stage = Stage(max_queue=0)
    lease = stage.taken()
    with pytest.raises(OverloadedError):
        await stage.waiting()
    lease.release()
    assert stage.now() is not None


async def test_who_waited_long_enough_for_a_slot_hears_how_busy_it_is() -> None:
    stage = Stage(replicas=2, concurrency=2)
    for _ in range(4):
        stage.taken()
    busy = r"m: no slot became free within 0 s \(timeouts.queue\): 4 requests run on 2 replica"
    with pytest.raises(UnavailableError, match=busy) as told:
        await stage.waiting(seconds=0)
    assert (told.value.status, told.value.code, told.value.retry_after) == (503, "queue_timeout", 1)
    assert stage.dispatcher.waiting() == {}


async def test_nobodys_many_requests_hold_up_anothers_few() -> None:
    stage = Stage()
    lease = stage.taken()
    many = [stage.waiting(principal="many") for _ in range(3)]
    await settle()
    few = [stage.waiting(principal="few") for _ in range(2)]
    await settle()
    for expected in (many[0], few[0], many[1], few[1], many[2]):
        lease.release()
        await settle()
        assert expected.done()
        lease = expected.result()
    lease.release()
    assert stage.dispatcher.waiting() == {}


async def test_retry_after_is_the_place_in_line_at_the_pace_of_late() -> None:
    stage = Stage(max_queue=2, concurrency=2)
    for _ in range(2):
        lease = stage.taken()
        stage.clock.now += 8
        lease.release()
    stage.taken(), stage.taken()
    first = stage.waiting(seconds=0.01)
    second = stage.waiting()
    await settle()
    with pytest.raises(OverloadedError) as told:
        await stage.waiting()
    assert (told.value.place, told.value.retry_after) == (3, 12), "8 s each, 2 at once, 3rd in line"
    with pytest.raises(UnavailableError, match="this one was number 1 of 2 in line") as late:
        await first
    assert (late.value.place, late.value.retry_after) == (1, 4)
    second.cancel()


async def test_who_waited_long_enough_for_a_replica_hears_what_keeps_them() -> None:
    stage = Stage(replicas=3)
    stage.tell(0, "starting", reason="loading 34 of 98 MB")
    stage.tell(1, "backoff", reason="exited with code 1")
    stage.registry.eject(stage.replica(2), "connection refused", 0)
    with pytest.raises(UnavailableError) as told:
        await stage.waiting(seconds=0)
    assert str(told.value) == (
        "m: no replica became ready within 0 s (timeouts.queue): m.0 is starting: loading 34 of 98 MB, "
        "m.1 is backoff: exited with code 1, m.2 is unreachable: connection refused"
    )


async def test_a_deployment_that_nobody_has_reported_of_says_so() -> None:
    with pytest.raises(UnavailableError, match="none has reported"):
        await Stage(replicas=0).waiting(seconds=0)


async def test_a_deployment_that_is_to_have_no_replica_says_how_to_get_one() -> None:
    stage = Stage(replicas=0)
    stage.push(2, DeploymentRecord(name="m", revision=2, replicas=0))
    with pytest.raises(UnavailableError, match=r"it has none \(argosy scale m 1\)"):
        await stage.waiting(seconds=0)


async def test_a_stopped_deployment_refuses_at_once_those_who_come_and_those_who_wait() -> None:
    stage = Stage()
    stage.taken()
    waiter = stage.waiting()
    await settle()
    stage.push(2, DeploymentRecord(name="m", revision=2, stopped=True))
    for refused in (waiter, stage.waiting()):
        with pytest.raises(UnavailableError, match="m is stopped") as told:
            await refused
        assert told.value.code == "stopped"


async def test_a_removed_deployment_refuses_at_once_those_who_wait() -> None:
    stage = Stage(replicas=0)
    waiter = stage.waiting()
    await settle()
    stage.push(2)
    with pytest.raises(UnavailableError, match="m has been removed"):
        await waiter


async def test_a_deployment_whose_replicas_all_failed_refuses_at_once_with_the_reason() -> None:
    stage = Stage()
    stage.tell(0, "starting")
    waiter = stage.waiting()
    await settle()
    stage.tell(0, "failed", reason="no such file: a.gguf")
    for refused in (waiter, stage.waiting()):
        with pytest.raises(UnavailableError, match=r"m has failed: no such file: a\.gguf") as told:
            await refused
        assert told.value.code == "failed"


async def test_what_the_controller_gave_up_refuses_at_once() -> None:
    stage = Stage(replicas=0)
    waiter = stage.waiting()
    await settle()
    stage.push(2, stage.record, failed={"m.0": "5 starts in 10 minutes"})
    with pytest.raises(UnavailableError, match="5 starts in 10 minutes"):
        await waiter


async def test_while_one_replica_lives_requests_wait_for_it() -> None:
    stage = Stage(replicas=2)
    stage.tell(1, "failed", reason="no such file")
    lease = stage.taken()
    waiter = stage.waiting()
    await settle()
    lease.release()
    await settle()
    assert waiter.result().replica.id == "m.0"


async def test_a_request_that_is_cancelled_while_it_waits_costs_nothing() -> None:
    stage = Stage()
    lease = stage.taken()
    gone, stays = stage.waiting(), stage.waiting()
    await settle()
    gone.cancel()
    await settle()
    assert stage.dispatcher.waiting() == {"m": 1}
    lease.release()
    (await stays).release()
    assert stage.replica(0).in_flight == 0


async def test_a_request_that_is_cancelled_in_the_moment_of_its_grant_gives_it_to_the_next() -> None:
    stage = Stage()
    lease = stage.taken()
    gone, stays = stage.waiting(), stage.waiting()
    await settle()
    lease.release()
    gone.cancel()  # it is granted, but has not run since
    with pytest.raises(asyncio.CancelledError):
        await gone
    (await stays).release()
    assert stage.replica(0).in_flight == 0


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_no_lease_is_lost_and_none_is_made_up(seed: int) -> None:
    chance = random.Random(seed)
    stage = Stage(replicas=3, concurrency=2, max_queue=8)
    held, waiting = list[Lease](), list[asyncio.Task[Lease]]()

    def take() -> None:
        tried = [replica for replica in stage.registry.replicas.values() if chance.random() < 0.2]
        waiting.append(stage.waiting(*tried, seconds=chance.choice([0, 60, 60, 60])))

    def release() -> None:
        if held:
            held.pop(chance.randrange(len(held))).release()

    def cancel() -> None:
        if waiting:
            chance.choice(waiting).cancel()

    def change() -> None:
        stage.tell(chance.randrange(3), chance.choice(["ready", "ready", "draining", "backoff"]))

    def eject() -> None:
        stage.registry.eject(chance.choice(list(stage.registry.replicas.values())), "refused", 0)

    def probe() -> None:
        stage.registry.report_probe(chance.choice(list(stage.registry.replicas.values())), None, 0)

    for _ in range(300):
        chance.choice([take, take, take, release, release, cancel, change, eject, probe, probe])()
        if chance.random() < 0.5:
            await settle()
        for task in [task for task in waiting if task.done()]:
            waiting.remove(task)
            if not task.cancelled() and task.exception() is None:
                held.append(task.result())
        for replica in stage.registry.replicas.values():
            assert 0 <= replica.in_flight <= 2
    for task in waiting:
        task.cancel()
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        if isinstance(result, Lease):
            held.append(result)
    for lease in held:
        lease.release()
    assert [replica.in_flight for replica in stage.registry.replicas.values()] == [0, 0, 0]
    assert stage.dispatcher.waiting() == {}
    for index in range(3):
        stage.tell(index, "ready", epoch=2)
    assert sum(stage.now() is not None for _ in range(9)) == 6, "every slot is there again"
