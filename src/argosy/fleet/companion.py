"""The FastChat listener as whoever keeps it has it: started, adopted, started again, replaced, ended.

Level-triggered: `keep` looks at what is there and does the next thing. The listener writes its own record, and ends by
itself when that names another (fastchat/main.py), so that no two of a fleet live on.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping

import psutil

from argosy.config.schema import FastChat
from argosy.fleet.endings import end_process
from argosy.fleet.last_lines import last_lines
from argosy.processes.detach import DetachedProcess, start_detached
from argosy.processes.identity import ProcessIdentity
from argosy.processes.restarts import LONGEST_DELAY_SECONDS, RestartHistory
from argosy.protocol.admin import ProcessReport
from argosy.state import FleetFolder, ProcessRecord, read_json
from argosy.telemetry.logging import EventLog

_STOP_SECONDS = 5.0
LOOK_SECONDS = 0.5

_log = EventLog("companion")


class Companion:
    """`argv` is what starts it, before the fleet's folder and its settings. `owner`: a process that it ends with."""

    def __init__(
        self,
        folder: FleetFolder,
        *,
        argv: tuple[str, ...] = (sys.executable, "-m", "argosy", "fastchat", "--folder"),
        env: Mapping[str, str] | None = None,
        owner: int | None = None,
    ) -> None:
        self._folder = folder
        self._argv = (*argv, str(folder.root), *(("--owner", str(owner)) if owner is not None else ()))
        self._env = env
        self._history = RestartHistory()
        self._child: DetachedProcess | None = None  # started by us and not seen to end
        self._leaving: dict[ProcessIdentity, float] = {}  # told to end → when it is made to
        self._due = float("-inf")
        self._reason = ""
        self._restarts = 0
        self._since = time.time()

    def keep(self, settings: FastChat | None, now: float) -> None:
        """One look, and the next thing. None: there is to be no listener."""
        record = read_json(self._folder.fastchat, ProcessRecord)
        running = record.identity if record is not None and record.identity.alive else None
        if self._child is not None and (end := self._child.how_it_ended()) is not None:
            self._ended(end, now)
        current = running or (self._child.identity if self._child is not None else None)
        if current is not None:
            if settings is None or _given(settings) not in _argv_of(current):
                self._send_away(current, now)
        elif settings is not None and now >= self._due:
            self._start(settings, now)

    def report(self) -> ProcessReport | None:
        """None where there is none and none is wanted."""
        record = read_json(self._folder.fastchat, ProcessRecord)
        if record is not None and record.identity.alive:
            pid, since = record.identity.pid, record.identity.started
            return ProcessReport(state="running", pid=pid, address=record.address, restarts=self._restarts, since=since)
        if self._child is not None:
            return ProcessReport(state="starting", pid=self._child.identity.pid, since=self._since)
        if self._reason:
            return ProcessReport(state="backoff", reason=self._reason, restarts=self._restarts, since=self._since)
        return None

    async def end(self) -> None:
        """Returns when it is gone."""
        record = read_json(self._folder.fastchat, ProcessRecord)
        for who in {*([record.identity] if record else []), *([self._child.identity] if self._child else [])}:
            await end_process(who, polite_seconds=_STOP_SECONDS, asked_already=who in self._leaving)
        if self._child is not None:
            self._child.how_it_ended()

    def _send_away(self, who: ProcessIdentity, now: float) -> None:
        deadline = self._leaving.get(who)
        if deadline is None:
            self._leaving[who] = now + _STOP_SECONDS
            who.send_signal(signal.SIGTERM)
        elif now >= deadline:
            who.send_signal(signal.SIGKILL)

    def _start(self, settings: FastChat, now: float) -> None:
        self._history.started(now)
        self._since = time.time()
        try:
            self._child = start_detached(
                [*self._argv, "--settings", _given(settings)],
                log=self._folder.log("fastchat"),
                cwd=self._folder.root,
                env=self._env,
            )
        except OSError as error:
            self._wait(f"the FastChat listener could not be started: {error}", now)

    def _ended(self, end: str, now: float) -> None:
        assert self._child is not None
        asked, self._child = self._child.identity in self._leaving, None
        if asked:
            self._history.forget()
            self._reason = ""
            return
        self._restarts += 1
        self._wait(f"the FastChat listener {end}. Last lines: {last_lines(self._folder.log('fastchat'), 3)}", now)

    def _wait(self, why: str, now: float) -> None:
        """It is tried again for ever: a port that is taken may be free tomorrow."""
        delay = self._history.next_delay(now)
        delay = LONGEST_DELAY_SECONDS if delay is None else delay
        self._due = now + delay
        self._reason = f"{why}; it starts again after {delay:.0f} s"
        _log.warning("fastchat.ended", reason=self._reason)


def _given(settings: FastChat) -> str:
    """With all defaults: another version's may be others."""
    return settings.model_dump_json()


def _argv_of(who: ProcessIdentity) -> list[str]:
    """What a process was started with tells its settings, also of one that an earlier controller started."""
    try:
        process = who.process()
        return process.cmdline() if process is not None else []
    except psutil.Error:
        return []
