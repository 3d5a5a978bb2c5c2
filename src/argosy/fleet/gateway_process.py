"""The fleet's gateway as its controller has it: started, adopted, started again, replaced, and told the fleet table.

Owns the gateway's process and what the gateway answered last. The gateway itself writes gateway.json.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Mapping

import msgspec

from argosy.config.schema import Gateway
from argosy.errors import UpstreamError
from argosy.fleet.address import port_of
from argosy.fleet.exits import wait_exit
from argosy.fleet.last_lines import last_lines
from argosy.fleet.retirement import Retirement
from argosy.processes.detach import DetachedProcess, start_detached
from argosy.processes.identity import ProcessIdentity
from argosy.processes.restarts import LONGEST_DELAY_SECONDS, RestartHistory
from argosy.protocol.admin import FleetTable, ProcessReport, ReplicaView, TableAnswer
from argosy.state import FleetFolder, ProcessRecord, read_json, write_json
from argosy.telemetry.logging import EventLog
from argosy.wire.client import Client

_TELL_SECONDS = 2.0
_SILENT_SECONDS = 30.0  # alive, but no answer for so long: clients get none either, so another takes its place
_HANDOVER_SECONDS = 5.0  # a heartbeat a second: what has not moved to the new gateway by then is not coming

_log = EventLog("gateway_process")


class GatewayProcess:
    """Level-triggered: `keep` looks at what is there and does the next thing; `tell` pushes the table."""

    def __init__(
        self,
        folder: FleetFolder,
        *,
        client: Client,
        admin_key: str,
        changed: Callable[[], None],
        argv: tuple[str, ...] = (sys.executable, "-m", "argosy", "gateway", "--folder"),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._client = client
        self._headers = {"authorization": f"Bearer {admin_key}", "content-type": "application/json"}
        self._changed = changed
        self._argv = (*argv, str(folder.root))
        self._env = env
        self._history = RestartHistory()
        self._record: ProcessRecord | None = None  # the one that serves
        self._since = time.time()
        self._child: DetachedProcess | None = None  # started by us
        self._last_address: str | None = None
        self._starting = False  # the child has not written its record yet
        self._due = float("-inf")
        self._reason = ""
        self._gave_up = False
        self._outdated = False
        self._stopped = False  # by `argosy stop gateway`
        self._silent_since: float | None = None
        self._silence = ""  # why it does not answer
        self._restarts = 0
        self._retirement = Retirement(folder)
        self._watches: set[asyncio.Task[None]] = set()
        self._told = asyncio.Event()
        self.views: list[ReplicaView] = []
        self.waiting: dict[str, int] = {}

    @property
    def starting(self) -> bool:
        return self._starting

    @property
    def address(self) -> str | None:
        """Where this machine reaches it."""
        return self._record.address if self._record is not None else None

    def renew(self, *, outdated: bool) -> None:
        """The user asked for the fleet anew: failures of before are forgotten.

        `outdated`: it runs with other settings than are wanted now, besides its address.
        """
        self._outdated = outdated or self._outdated
        self._history.forget()
        self._due = float("-inf")
        self._gave_up = False

    def keep(self, settings: Gateway | None, now: float, *, grace_seconds: float) -> None:
        """One look, and the next thing that brings a gateway with these settings nearer. None: there is to be none."""
        self._stopped = settings is None
        record = read_json(self._folder.gateway, ProcessRecord)
        self._last_address = (record.address if record is not None else None) or self._last_address
        if record is not None and (record.identity in self._retirement or not record.identity.alive):
            record = None
        if self._starting:
            self._look_at_start(record, now, grace_seconds)
        elif record is None and self._record is not None:
            self._died(now)
        elif record is not None and (self._record is None or self._record.identity != record.identity):
            self._serves(record)
            _log.info("gateway.adopted", pid=record.identity.pid, address=record.address)
        if self._record is not None and self._silent_since is not None and now - self._silent_since > _SILENT_SECONDS:
            _log.warning("gateway.silent", pid=self._record.identity.pid, reason=self._silence)
            self._record.identity.send_signal(signal.SIGKILL)
            self._silent_since = None
        if settings is None:
            if self._record is not None:
                self._close_door(self._record, grace_seconds)
            self.views, self.waiting, self._silent_since = [], {}, None
            self._reason, self._due = "", float("-inf")  # of earlier deaths: a start that is asked for is made at once
            return
        if self._starting or now < self._due:
            return
        if self._record is None:
            self._start(settings, now)
        elif (same_port := settings.port in (0, port_of(self._record.address or ""))) and self._outdated:
            # Both cannot listen there: the old one closes its door first, then finishes what it has.
            self._close_door(self._record, grace_seconds)
            self._start(settings, now)
        elif not same_port:
            self._start(settings, now)

    async def tell(self, table: FleetTable, now: float) -> None:
        """Pushes the table to the gateway, and to one that is being replaced; keeps the answers."""
        for old in self._retirement.addresses:
            with contextlib.suppress(UpstreamError):
                await self._put(old, table)
        if (address := self.address) is None:
            return
        try:
            answer = await self._put(address, table)
            self.waiting = dict(answer.waiting) if answer else {}
            reply = await self._client.request(
                "GET", f"{address}/argosy/v1/replicas", headers=self._headers, seconds=_TELL_SECONDS
            )
            self.views = msgspec.json.decode(reply.body, type=list[ReplicaView]) if reply.status == 200 else []
        except (UpstreamError, msgspec.DecodeError) as error:
            self.views, self.waiting = [], {}
            self._silence = str(error)
            if self._silent_since is None:
                self._silent_since = now
            return
        self._silent_since, self._silence = None, ""
        self._told.set()

    def report(self, *, going_down: bool = False) -> ProcessReport:
        """`going_down`: that it answers no more is then what was asked for."""
        if self._record is not None:
            state = "running" if self._record.identity.alive else "gone"
        elif self._starting:
            state = "starting"
        elif self._stopped:
            state = "stopped"
        else:
            state = "failed" if self._gave_up else "backoff"
        record = self._record
        silence = f"does not answer: {self._silence}" if self._silence and not going_down else ""
        child = self._child.identity.pid if self._child and self._starting else None
        return ProcessReport(
            state=state,
            pid=record.identity.pid if record else child,
            address=record.address if record else None,
            reason="`argosy start gateway` opens the door again" if state == "stopped" else self._reason or silence,
            restarts=self._restarts,
            since=self._since,
        )

    def sweep(self, grace_seconds: float) -> None:
        """Ends gateways that an earlier controller had begun to replace."""
        self._retirement.sweep(grace_seconds)

    async def close(self) -> None:
        """Stops watching; what runs keeps running."""
        await self._retirement.close()
        watches = list(self._watches)
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)

    def _close_door(self, record: ProcessRecord, grace_seconds: float) -> None:
        """It takes nothing new, finishes what it has, and ends."""
        self._retirement.retire(record, grace_seconds)
        self._record = None

    def _start(self, settings: Gateway, now: float) -> None:
        self._outdated = False
        self._history.started(now)
        port = settings.port
        if port == 0 and self._last_address is not None:  # workers and clients know that one
            port = port_of(self._last_address)
        try:
            self._child = start_detached(
                [*self._argv, "--port", str(port)],
                log=self._folder.log("gateway"),
                cwd=self._folder.root,
                env=self._env,
            )
        except OSError as error:
            self._wait(f"the gateway could not be started: {error}", now)
            return
        # Until it writes its own record, whoever takes the fleet down knows it by this one.
        write_json(self._folder.starting_gateway, ProcessRecord(identity=self._child.identity))
        self._starting = True
        self._since = time.time()
        self._wake_at_exit(self._child.identity)

    def _look_at_start(self, record: ProcessRecord | None, now: float, grace_seconds: float) -> None:
        assert self._child is not None
        if record is not None and record.identity == self._child.identity:
            self._starting = False
            self._folder.starting_gateway.unlink(missing_ok=True)
            old = self._record
            self._serves(record)
            _log.info("gateway.ready", pid=record.identity.pid, address=record.address)
            if old is not None:
                self._retirement.retire(old, grace_seconds, after=self._workers_have_moved())
        elif (end := self._child.how_it_ended()) is not None:
            self._starting = False
            self._folder.starting_gateway.unlink(missing_ok=True)
            self._last_address = None  # another may have its port: where any will do, take another
            self._folder.gateway.unlink(missing_ok=True)
            lines = last_lines(self._folder.log("gateway"), 3)
            self._wait(f"the gateway {end} before it listened. Last lines: {lines}", now)

    def _serves(self, record: ProcessRecord) -> None:
        self._record = record
        self._since = time.time()
        self._reason = self._silence = ""
        self._silent_since = None
        self._gave_up = False
        self._due = float("-inf")
        if self._child is None or self._child.identity != record.identity:
            self._wake_at_exit(record.identity)

    def _died(self, now: float) -> None:
        assert self._record is not None
        end = "is gone"
        if self._child is not None and self._child.identity == self._record.identity:
            end = self._child.how_it_ended() or end
        self._record = None
        self._restarts += 1
        self.views, self.waiting = [], {}
        self._wait(f"the gateway {end}", now)

    def _wait(self, why: str, now: float) -> None:
        """The door is tried again for ever: to give it up would end the service of every healthy replica."""
        delay = self._history.next_delay(now)
        self._gave_up = delay is None
        if delay is None:
            delay = LONGEST_DELAY_SECONDS
        elif len(self._history.starts) <= 1:
            delay = 0.0  # it ran well until now: clients are waiting at a closed door
        self._due = now + delay
        self._reason = f"{why}; it starts again after {delay:.0f} s"
        _log.warning("gateway.ended", reason=self._reason)

    async def _workers_have_moved(self) -> None:
        """Until they have, the old gateway goes on serving."""
        before = {view.id for view in self.views if view.routable}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HANDOVER_SECONDS):
                while True:
                    self._told.clear()
                    await self._told.wait()
                    if before <= {view.id for view in self.views if view.routable}:
                        return

    async def _put(self, address: str, table: FleetTable) -> TableAnswer | None:
        reply = await self._client.request(
            "PUT",
            f"{address}/argosy/v1/table",
            headers=self._headers,
            body=msgspec.json.encode(table),
            seconds=_TELL_SECONDS,
        )
        return msgspec.json.decode(reply.body, type=TableAnswer) if reply.status == 200 else None

    def _wake_at_exit(self, who: ProcessIdentity) -> None:
        async def watch() -> None:
            await wait_exit(who)
            self._changed()

        task = asyncio.create_task(watch())
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)
