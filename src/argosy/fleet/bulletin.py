"""What listeners hear of a fleet: how it stands, then every change from one report to the next. Owns the last one."""

from __future__ import annotations

import time

from argosy.fleet.report import changes, snapshot
from argosy.protocol.admin import Event, FleetReport
from argosy.telemetry.events import EventStream
from argosy.telemetry.logging import EventLog

_log = EventLog("controller")


class Bulletin:
    """Of the fleet of this name. `report`: the last one that was published."""

    def __init__(self, fleet: str) -> None:
        self.report: FleetReport | None = None
        self.events = EventStream()
        self._fleet = fleet
        self._whole: Event | None = None

    def present(self, report: FleetReport) -> list[Event]:
        """Events that tell a new listener how things are."""
        return [*snapshot(report), *([self._whole] if self._whole else [])]

    def publish(self, report: FleetReport, state: str, reason: str = "") -> None:
        """`state` and `reason`: of the fleet as a whole."""
        now = time.time()
        events = list(changes(self.report, report, now=now))
        self.report = report
        if self._whole is None or (state, reason) != (self._whole.state, self._whole.reason):
            self._whole = Event(at=now, kind="fleet", name=self._fleet, state=state, reason=reason)
            events.append(self._whole)
        for event in events:
            _log.info(f"{event.kind}.{event.state}", name=event.name, reason=event.reason or None)
        self.events.publish(events)

    def stopped(self) -> None:
        """The last word: nothing of the fleet is left."""
        self.events.publish([Event(at=time.time(), kind="fleet", name=self._fleet, state="stopped")])
        _log.info("fleet.stopped")
