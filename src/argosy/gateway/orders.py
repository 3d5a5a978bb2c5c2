"""What workers are told by the answers to their heartbeats, and what they send back: workers have no door of their own.

Owns the commands that stand and the questions that are open. Each is for one start of a worker: the next one, whose
replica may have the same name, does not hear it. Who may give orders is admin.py's to check.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Container
from dataclasses import dataclass, field

from argosy.errors import UnavailableError
from argosy.protocol.heartbeat import Command
from argosy.protocol.replica import ReplicaStatus
from argosy.protocol.replica_log import LogPart, LogQuery

ANSWER_SECONDS = 5.0  # a heartbeat is at most a second away; the rest is for a busy machine


@dataclass
class _Standing:
    """Commands that are repeated by every answer until their worker has ended: an answer may be lost on its way."""

    worker: str
    commands: set[Command] = field(default_factory=set)
    told: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class _Question:
    worker: str
    replica: str
    query: LogQuery
    part: asyncio.Future[LogPart]


class Orders:
    """`answer_seconds`: how long who gives an order waits for the worker to hear it."""

    def __init__(self, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._answer_seconds = answer_seconds
        self._standing: dict[str, _Standing] = {}  # replica id →
        self._questions: dict[str, _Question] = {}  # query id →

    # who gives them

    async def command(self, worker: ReplicaStatus, command: Command) -> None:
        """Returns when the worker is being told. Raises UnavailableError when it is silent; the order stands then."""
        standing = self._standing.get(worker.id)
        if standing is None or standing.worker != worker.worker:
            standing = self._standing[worker.id] = _Standing(worker.worker)
        if command not in standing.commands:
            standing.commands.add(command)
            standing.told = asyncio.Event()
        try:
            async with asyncio.timeout(self._answer_seconds):
                await standing.told.wait()
        except TimeoutError:
            raise _silent(worker, "it is told as soon as it is heard") from None

    async def log(self, worker: ReplicaStatus, *, lines: int = 0, after: int | None = None) -> LogPart:
        """A part of its replica's log. Raises UnavailableError when it is silent or was replaced meanwhile."""
        query = LogQuery(id=secrets.token_hex(16), lines=lines, after=after)
        part: asyncio.Future[LogPart] = asyncio.get_running_loop().create_future()
        self._questions[query.id] = _Question(worker.worker, worker.id, query, part)
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await part
        except TimeoutError:
            raise _silent(worker, "its log is on its own machine") from None
        finally:
            del self._questions[query.id]

    # who hears them

    def due(self, worker: ReplicaStatus) -> tuple[list[str], list[LogQuery]]:
        """The commands and questions for the worker that said this just now."""
        commands, queries = list[str](), list[LogQuery]()
        if (standing := self._standing.get(worker.id)) is not None:
            standing.told.set()  # also where the one that was meant is gone: it has ended, as it should
            if standing.worker == worker.worker:
                commands = sorted(standing.commands)
            else:
                del self._standing[worker.id]
        if self._questions:
            for question in [each for each in self._questions.values() if each.replica == worker.id]:
                if question.worker == worker.worker:
                    queries.append(question.query)
                elif not question.part.done():
                    question.part.set_exception(_silent(worker, "another one has taken its place: ask again"))
        return commands, queries

    def take(self, part: LogPart) -> None:
        """What a worker has sent; dropped when nobody waits for it any more."""
        question = self._questions.get(part.query)
        if question is not None and question.replica == part.replica and not question.part.done():
            question.part.set_result(part)

    def forget(self, present: Container[str]) -> None:
        """Commands to replicas that are gone."""
        for replica in [each for each in self._standing if each not in present]:
            del self._standing[replica]


def _silent(worker: ReplicaStatus, so: str) -> UnavailableError:
    return UnavailableError(f"The worker of {worker.id} has not answered: {so}.", code="worker_silent")
