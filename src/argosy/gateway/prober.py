"""Asks replicas that have no heartbeat to speak for them: remotes always, and others once they were ejected or have
failed some requests; and calls back those that were started by hand, before anything is sent to them. Those that
failed some in their own words are asked a question besides: /health says little of a GPU that is gone.

What a probe finds is told to the registry; what a request found out in the meantime stays the relay's affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from argosy.errors import UpstreamError
from argosy.gateway.upstreams import NoKeyError, Upstreams
from argosy.protocol.endpoints import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES
from argosy.protocol.replica import ReplicaState
from argosy.registry import health
from argosy.registry.records import Replica
from argosy.registry.registry import Registry

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0  # between probes of a replica that does not answer
WELL_PAUSE_SECONDS = 15.0  # between probes of a remote that does
ANSWER_SECONDS = 5.0
QUESTION, QUESTION_ID = "Hi", b"argosy-probe"
_QUESTIONS: Mapping[str, Mapping[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 1},
    COMPLETIONS: {"prompt": QUESTION, "max_tokens": 1},
    EMBEDDINGS: {"input": QUESTION},
}


@dataclass(slots=True)
class _Schedule:
    due: float
    pause: float = FIRST_PAUSE_SECONDS
    task: asyncio.Task[None] | None = None


class Prober:
    """`tend` starts the probes that are due; it is called at every sweep. `clock`: monotonic seconds."""

    def __init__(self, registry: Registry, upstreams: Upstreams, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._upstreams = upstreams
        self._clock = clock
        self._schedules: dict[str, _Schedule] = {}

    def tend(self) -> None:
        now = self._clock()
        needed = [
            each
            for each in self._registry.replicas.values()
            if each.remote is not None
            or each.ejected
            or each.failures >= health.FAILURES_TO_PROBE
            or (each.unproven and each.status.state == ReplicaState.READY)
        ]
        for replica in needed:
            pause = health.pause_seconds(replica.relapses)
            schedule = self._schedules.get(replica.id)
            if schedule is None:
                schedule = self._schedules[replica.id] = _Schedule(now + pause)
            if schedule.task is not None and schedule.task.done():
                schedule.task.result()  # a fault of ours must not pass unseen
                schedule.task = None
            if replica.ejected or replica.unproven:
                schedule.due = min(schedule.due, now + max(schedule.pause, pause))
            if schedule.task is None and now >= schedule.due:
                schedule.task = asyncio.create_task(self._probe(replica, schedule))
        for gone in self._schedules.keys() - {replica.id for replica in needed}:
            self._cancel(self._schedules.pop(gone))

    async def close(self) -> None:
        tasks = [task for schedule in self._schedules.values() if (task := self._cancel(schedule))]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cancel(self, schedule: _Schedule) -> asyncio.Task[None] | None:
        if schedule.task is not None:
            schedule.task.cancel()
        return schedule.task

    async def _probe(self, replica: Replica, schedule: _Schedule) -> None:
        for_good = answered = False
        try:
            fault = await self._fault(replica)
            if fault is None and (question := _question(replica)) is not None:
                fault, answered = await self._ask(replica, *question)
        except NoKeyError as error:
            fault, for_good = str(error), True
        if fault is not None and replica.unproven:
            fault = f"the gateway does not reach it at {replica.status.address}, so nothing is sent there: {fault}"
        now = self._clock()
        if fault is None:
            schedule.pause, schedule.due = FIRST_PAUSE_SECONDS, now + WELL_PAUSE_SECONDS
        else:
            schedule.due = now + schedule.pause
            schedule.pause = min(LONGEST_PAUSE_SECONDS, schedule.pause * 2)
        self._registry.report_probe(replica, fault, now, for_good=for_good, answered=answered)

    async def _fault(self, replica: Replica) -> str | None:
        """What is wrong with it, or None. A remote is well when it answers at all and takes our key."""
        path = "/v1/models" if replica.remote is not None else replica.status.health
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                exchange = await self._upstreams.of(replica).get(path, ANSWER_SECONDS)
            status = exchange.status
            exchange.close()
        except TimeoutError:
            return f"no answer to GET {path} within {ANSWER_SECONDS:g} s"
        except NoKeyError:
            raise
        except UpstreamError as error:
            return str(error)
        if replica.remote is None:
            another = ", as by another worker's engine" if status == 401 else ""
            return None if status == 200 else f"GET {path} was answered {status}{another}"
        if status in (401, 403):
            return f"it refuses our key ({status}): see api_key_env"
        return None if status < 500 else f"GET {path} was answered {status}"

    async def _ask(self, replica: Replica, path: str, body: bytes) -> tuple[str | None, bool]:
        """What is wrong with it, if anything, and whether it has answered."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                exchange = await self._upstreams.of(replica).post(path, body, QUESTION_ID, ANSWER_SECONDS)
            status = exchange.status
            exchange.close()
        except TimeoutError:
            return None, False  # a busy engine has others to answer first
        except UpstreamError as error:
            return str(error), False
        if status == 503:  # it takes nothing now
            return None, False
        wrong = status >= 500 or status in (401, 403)
        return (f"{QUESTION!r} at {path} was answered {status}", False) if wrong else (None, True)


def _question(replica: Replica) -> tuple[str, bytes] | None:
    """Where and what to ask one that is doubted. Nothing of a remote, which may be paid for its answers."""
    if not replica.doubted or replica.remote is not None:
        return None
    path = CHAT if replica.doubted in (RESPONSES, MESSAGES) else replica.doubted
    asked = _QUESTIONS.get(path)
    if asked is None or (replica.status.paths and path not in replica.status.paths):
        return None
    model = replica.status.upstream_model or replica.deployment
    return path, msgspec.json.encode({"model": model, **asked})
