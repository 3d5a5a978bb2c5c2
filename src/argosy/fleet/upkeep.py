"""What to do now about one thing that should run: leave it, start it, replace it, give it up. Pure: time is passed in.

Owns the memory of one replica over the lives of its worker: when it died, when it is due again, why it failed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from argosy.fleet.launcher import LaunchedReplica
from argosy.fleet.report import Absence
from argosy.processes.restarts import RestartHistory
from argosy.protocol.replica import ReplicaSpec, ReplicaState


class Step(enum.Enum):
    LEAVE = enum.auto()
    START = enum.auto()
    REPLACE = enum.auto()  # stop it; once it is gone the next step is START


@dataclass
class Upkeep:
    """Born when a replica is wanted anew: then it starts at once, whatever became of it before."""

    history: RestartHistory = field(default_factory=RestartHistory)
    due: float | None = float("-inf")  # when to start it; None: it was started
    reason: str = ""  # why it does not run now
    failed: bool = False
    restarts: int = 0  # of its worker
    _died: bool = False

    def step(
        self, wanted: ReplicaSpec, found: LaunchedReplica | None, now: float, last_lines: Callable[[], str]
    ) -> Step:
        if found is not None and found.alive:
            self.due = None
            return Step.LEAVE if found.spec.generation == wanted.generation else Step.REPLACE
        if self.due is None and found is not None and not self.failed:
            if found.spec.generation != wanted.generation:  # it was replaced: that was no death
                self.history.forget()
                self.due = float("-inf")
            else:
                self._ended(found, now, last_lines)
        return Step.START if self.due is not None and now >= self.due and not self.failed else Step.LEAVE

    def started(self, now: float) -> None:
        self.restarts += self._died
        self._died = False
        self.history.started(now)
        self.due = None
        self.reason = ""

    def not_started(self, error: Exception, now: float) -> None:
        self.history.started(now)
        self._wait_or_give_up(f"its worker could not be started: {error}", now, lambda: "")

    @property
    def absence(self) -> Absence:
        waiting = ReplicaState.BACKOFF if self.reason else ReplicaState.PENDING
        state = ReplicaState.FAILED if self.failed else waiting
        return Absence(state, self.reason, self.restarts)

    def _ended(self, found: LaunchedReplica, now: float, last_lines: Callable[[], str]) -> None:
        self._died = True
        if found.status is not None and found.says(ReplicaState.FAILED):
            self.failed = True  # the worker gave up by itself and said why
            self.reason = found.status.reason
            return
        self._wait_or_give_up(f"its worker {found.end or 'is gone'}", now, last_lines)

    def _wait_or_give_up(self, why: str, now: float, last_lines: Callable[[], str]) -> None:
        delay = self.history.next_delay(now)
        if delay is None:
            self.failed = True
            self.due = None
            lines = last_lines()
            told = f" Last lines:\n{lines}" if lines else ""
            self.reason = f"{why}; given up after {len(self.history.starts)} starts within 10 minutes.{told}"
        else:
            self.due = now + delay
            self.reason = f"{why}; it starts again after {delay:.0f} s"
