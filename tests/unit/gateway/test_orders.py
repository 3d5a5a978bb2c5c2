from __future__ import annotations

import asyncio

import pytest

from argosy.errors import UnavailableError
from argosy.gateway.orders import Orders
from argosy.protocol.heartbeat import Command
from argosy.protocol.replica import ReplicaStatus
from argosy.protocol.replica_log import LogPart
from voices import WorkerVoice


def worker(start: str = "first", replica: str = "m.0") -> ReplicaStatus:
    return WorkerVoice(replica, worker=start).status


async def begun(task: asyncio.Task[object]) -> None:
    """The task has come to its first wait."""
    await asyncio.sleep(0)
    assert not task.done()


async def test_a_command_is_repeated_to_its_worker_and_to_no_other() -> None:
    orders = Orders()
    given = asyncio.create_task(orders.command(worker(), Command.STOP))
    await begun(given)
    assert orders.due(worker(replica="m.1")) == ([], [])
    assert not given.done()
    for _ in range(2):
        assert orders.due(worker()) == (["stop"], [])
    await given
    await orders.command(worker(), Command.STOP)  # again: it stands, and has been told
    assert orders.due(worker("next")) == ([], []), "the next worker of that replica is not meant"
    assert orders.due(worker()) == ([], [])


async def test_a_hurried_end_is_told_beside_the_patient_one() -> None:
    orders = Orders()
    for command, due in ((Command.DRAIN, ["drain"]), (Command.STOP, ["drain", "stop"])):
        given = asyncio.create_task(orders.command(worker(), command))
        await begun(given)
        assert orders.due(worker())[0] == due
        await given


async def test_a_command_to_a_silent_worker_stands_until_its_replica_is_forgotten() -> None:
    orders = Orders(answer_seconds=0.01)
    for _ in range(2):
        with pytest.raises(UnavailableError, match=r"m\.0 has not answered: it is told as soon as it is heard"):
            await orders.command(worker(), Command.DRAIN)
    orders.forget({"m.0"})
    assert orders.due(worker())[0] == ["drain"]
    orders.forget(())
    assert orders.due(worker())[0] == []


async def test_a_question_is_repeated_until_its_part_comes_and_a_part_nobody_waits_for_is_dropped() -> None:
    orders = Orders()
    asked = asyncio.create_task(orders.log(worker(), after=7))
    await begun(asked)
    (query,) = orders.due(worker())[1]
    assert (query.after, orders.due(worker())) == (7, ([], [query]))
    orders.take(LogPart(query=query.id, replica="m.1", data=b"another's", end=1))
    orders.take(LogPart(query="guessed", replica="m.0", data=b"guessed", end=1))
    part = LogPart(query=query.id, replica="m.0", data=b"lines\n", end=13)
    orders.take(part)
    orders.take(part)
    assert await asked == part
    assert orders.due(worker()) == ([], [])
    orders.take(part)


async def test_a_question_to_a_worker_that_was_replaced_ends_at_once() -> None:
    orders = Orders()
    asked = asyncio.create_task(orders.log(worker(), lines=3))
    await begun(asked)
    assert orders.due(worker("next")) == ([], [])
    with pytest.raises(UnavailableError, match="another one has taken its place: ask again"):
        await asked


async def test_a_question_to_a_silent_worker_ends_with_a_sentence_and_is_not_asked_any_more() -> None:
    orders = Orders(answer_seconds=0.01)
    with pytest.raises(UnavailableError, match=r"m\.0 has not answered"):
        await orders.log(worker(), lines=3)
    assert orders.due(worker()) == ([], [])
