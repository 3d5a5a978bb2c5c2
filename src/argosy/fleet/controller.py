"""The controller: makes what runs into what is wanted, again and again, and touches nothing that is right.

Owns the desired state and the memory of each replica's failures. Level-triggered: every pass looks at the whole truth,
so a hint that was lost, a controller that was killed, a change in mid-flight all end in the same place. One task makes
the passes; everyone else sets what is wanted and waits for the next pass.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from argosy.config.needs import EngineNeeds
from argosy.config.schema import Fleet
from argosy.errors import ArgosyError, UnavailableError
from argosy.fleet.address import is_for_all
from argosy.fleet.bulletin import Bulletin
from argosy.fleet.companion import Companion
from argosy.fleet.desired import Desired
from argosy.fleet.gateway_process import GatewayProcess
from argosy.fleet.launcher import LaunchedReplica, Launcher
from argosy.fleet.planner import deployment_of, placement_of, plan, records, remotes, sources
from argosy.fleet.report import Absence, fleet_report
from argosy.fleet.rollout import Rollout
from argosy.fleet.settlement import settlement
from argosy.fleet.shutdown import take_down
from argosy.fleet.upkeep import Step, Upkeep
from argosy.protocol.admin import Event, FleetReport, FleetTable, ProcessReport, ReplicaView
from argosy.protocol.replica import ReplicaSpec, ReplicaState
from argosy.state import DesiredState, FleetFolder, write_json
from argosy.tasks import set_within
from argosy.telemetry.logging import EventLog

_PASS_SECONDS = 1.0  # a pass at least so often, and the table is pushed as often
_GATEWAY_LOOK_SECONDS = 0.1  # while it starts: it says so by a file

_log = EventLog("controller")


class Controller:
    def __init__(
        self,
        folder: FleetFolder,
        *,
        launcher: Launcher,
        gateway: GatewayProcess,
        companion: Companion,
        desired: DesiredState,
        before: Fleet | None,
        address: str,
        own: ProcessReport,
        changed: asyncio.Event,
        needs: Callable[[Fleet, bool], Mapping[str, EngineNeeds]] = lambda _fleet, _gpus: {},
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`before`: what an earlier controller wanted last, which is what runs now, if it runs.
        `changed`: set by whoever wants a pass soon. `address`: of the controller's own surface. `needs`: what each
        deployment's engine needs, where there are GPUs or none, asked at every pass.
        """
        self._folder = folder
        self._launcher = launcher
        self._gateway = gateway
        self._companion = companion
        self._address = address
        self._own = own
        self._changed = changed
        self._clock = clock
        self._desired = Desired.of(desired)
        self._upkeeps: dict[str, Upkeep] = {}
        self._stops: dict[str, asyncio.Task[None]] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._wanted: dict[str, ReplicaSpec] = {}
        self._launched: dict[str, LaunchedReplica] = {}
        self._needs = needs
        self._refused: Mapping[str, str] = {}  # replica → why it can run nowhere
        self._table_changed = asyncio.Event()
        self._ending = asyncio.Event()
        self._hurry = asyncio.Event()
        self._bulletin = Bulletin(folder.name)
        self.events = self._bulletin.events
        if before is not None:
            gateway.renew(outdated=_gateway_outdated(before, self._desired.fleet))

    # asked by others

    def report(self) -> FleetReport:
        return self._bulletin.report or self._make_report()

    def present(self) -> list[Event]:
        """Events that tell a new listener how things are."""
        return self._bulletin.present(self.report())

    async def apply(self, fleet: Fleet) -> FleetReport:
        """Wants another fleet. Whatever failed before is tried again, whatever was stopped is started."""
        desired = self._desired.applied(fleet, _now())
        self._gateway.renew(outdated=_gateway_outdated(self._desired.fleet, fleet))
        self._try_again(self._upkeeps)
        _log.info("fleet.applied", deployments=len(fleet.deployments))
        return await self._want(desired)

    async def stop(self, name: str) -> FleetReport:
        """A deployment, the gateway, or all workers."""
        return await self._want(self._desired.with_stopped(name, _now()))

    async def start(self, name: str) -> FleetReport:
        """The same, or one replica that was drained. What failed of it is tried again."""
        desired = self._desired.with_started(name, _now())
        self._try_again(replica for replica in self._upkeeps if name in (replica, deployment_of(replica)))
        return await self._want(desired)

    async def scale(self, deployment: str, replicas: int) -> FleetReport:
        return await self._want(self._desired.with_replicas(deployment, replicas, _now()))

    async def restart(self, deployment: str) -> FleetReport:
        """Every replica is replaced, one after the other; what failed is tried again."""
        desired = self._desired.with_restart(deployment, _now())
        self._try_again(replica for replica in self._upkeeps if deployment == deployment_of(replica))
        return await self._want(desired)

    async def drain(self, replica: str) -> FleetReport:
        """It finishes what it has, ends, and stays out until it is started, scaled or the fleet is applied again."""
        return await self._want(self._desired.with_drained(replica, _now()))

    def down(self, *, now: bool) -> None:
        """Takes the fleet down; `now` gives running requests no time, also while others were given some."""
        if now:
            self._hurry.set()
        self._ending.set()
        self._changed.set()

    def end(self) -> None:
        """A signal: the first one takes the fleet down, the second one without waiting."""
        self.down(now=self._ending.is_set())

    # the passes

    async def run(self) -> None:
        """Until `down`, then until all is gone."""
        self._gateway.sweep(self._desired.fleet.grace)
        helpers = [asyncio.create_task(self._listen()), asyncio.create_task(self._tell())]
        try:
            while not self._ending.is_set():
                self._changed.clear()
                waiters, self._waiters = self._waiters, []
                await self._pass()
                for waiter in waiters:
                    waiter.set_result(None)
                await self._wait_for_a_change(helpers)
            await self._go_down()
        finally:
            for task in [*helpers, *self._stops.values()]:
                task.cancel()
            await asyncio.gather(*helpers, *self._stops.values(), return_exceptions=True)
            for waiter in self._waiters:
                waiter.set_exception(self._goes_down())
            self.events.close()
            await self._gateway.close()
            await self._launcher.close()

    async def _pass(self) -> None:
        now, desired = self._clock(), self._desired
        settings = None if desired.gateway_stopped else desired.fleet.gateway
        self._gateway.keep(settings, now, grace_seconds=desired.fleet.grace)
        self._companion.keep(desired.fleet.fastchat, now)
        await self._look()
        nodes = await self._launcher.nodes()
        placement = placement_of(
            desired.fleet,
            desired.stopped,
            self._launched,
            nodes=nodes,
            needs=self._needs(desired.fleet, any(node.devices for node in nodes)),
            drained=desired.drained,
            restarts=desired.restarts,
        )
        # The first reason stays until something else is wanted: free memory of a GPU moves all the time.
        self._refused = {each: self._refused.get(each, why) for each, why in placement.refused.items()}
        specs = plan(
            desired.fleet,
            desired.stopped,
            {each.id: each.spec for each in self._launched.values()},
            placement=placement,
            gateways=[self._gateway.address] if self._gateway.address else [],
            revision=desired.revision,
            drained=desired.drained,
            restarts=desired.restarts,
        )
        self._wanted = {spec.id: spec for spec in specs}
        self._upkeeps = {replica: self._upkeeps.get(replica, Upkeep()) for replica in self._wanted}
        for replica, found in self._launched.items():
            # One that finds no place for what it should become stays what it is.
            unwanted = found.alive and replica not in self._wanted and replica not in self._refused
            if unwanted and (replica in desired.drained or self._rollout().may_leave(found)):
                self._stop(found)
        for spec in specs:
            if spec.id not in self._stops:
                await self._keep(spec, now)
        await self._look()
        self._publish()

    async def _keep(self, spec: ReplicaSpec, now: float) -> None:
        upkeep = self._upkeeps[spec.id]
        found = self._launched.get(spec.id)
        failed = upkeep.failed
        step = upkeep.step(spec, found, now, lambda: self._launcher.last_lines(spec.id))
        if upkeep.failed and not failed:
            _log.warning("replica.failed", replica=spec.id, reason=upkeep.reason)
        if step is Step.REPLACE and found is not None and self._rollout().may_replace(found):
            self._stop(found)
        elif step is Step.LEAVE and found is not None and found.alive and _amended(found.spec, spec):
            await self._launcher.amend(spec)
            _log.info("replica.amended", replica=spec.id)
        elif step is Step.START and spec.gateways:  # a worker without a gateway would be heard by nobody
            for other in (in_the_way := self._rollout().in_the_way(spec)):
                self._stop(other)
            if in_the_way:
                return
            try:
                await self._launcher.start(spec)
            except (OSError, ArgosyError) as error:
                upkeep.not_started(error, now)
                _log.warning("replica.not_started", replica=spec.id, reason=upkeep.reason)
            else:
                upkeep.started(now)
                _log.info("replica.started", replica=spec.id, generation=spec.generation)

    def _rollout(self) -> Rollout:
        return Rollout(self._wanted, self._launched, self._stops.keys(), self._desired.fleet.budget)

    def _try_again(self, replicas: Iterable[str]) -> None:
        """Forgets that they failed, or that they wait to be started."""
        for replica in list(replicas):
            if self._upkeeps[replica].failed or self._upkeeps[replica].due is not None:
                del self._upkeeps[replica]

    def _stop(self, found: LaunchedReplica) -> None:
        if found.id in self._stops:
            return
        _log.info("replica.stopping", replica=found.id, generation=found.spec.generation)
        task = asyncio.create_task(
            self._launcher.stop(
                found.id, found.spec.generation, grace_seconds=self._desired.fleet.grace, hurry=self._hurry
            )
        )
        self._stops[found.id] = task

        def over(_: asyncio.Task[None]) -> None:
            self._stops.pop(found.id, None)
            self._changed.set()

        task.add_done_callback(over)

    async def _look(self) -> None:
        self._launched = {each.id: each for each in await self._launcher.list()}

    def _publish(self) -> None:
        report = self._make_report()
        if self._ending.is_set():
            self._bulletin.publish(report, "stopping")
        else:
            settled = settlement(report, self._wanted, self._launched, self._stops.keys(), self._refused.keys())
            self._bulletin.publish(report, settled.state, ", ".join(settled.failed))
        self._table_changed.set()

    def _make_report(self) -> FleetReport:
        ending = Absence(ReplicaState.STOPPED) if self._ending.is_set() else None
        return fleet_report(
            self._folder.name,
            self._desired.fleet,
            self._desired.stopped,
            drained=self._desired.drained,
            launched=self._launched,
            absences={
                **{replica: Absence(ReplicaState.FAILED, reason) for replica, reason in self._refused.items()},
                **{replica: ending or upkeep.absence for replica, upkeep in self._upkeeps.items()},
            },
            gateways=[self._gateway.report(going_down=self._ending.is_set())],
            controller=self._own,
            fastchat=self._companion.report(),
            views=self._gateway.views,
            waiting=self._gateway.waiting,
        )

    # what goes on beside the passes

    async def _listen(self) -> None:
        async for _ in self._launcher.watch():
            self._changed.set()

    async def _tell(self) -> None:
        while True:
            await set_within(self._table_changed, _PASS_SECONDS)
            self._table_changed.clear()
            before = self._gateway.views
            await self._gateway.tell(self._table(), self._clock())
            if _notable(before) != _notable(self._gateway.views):
                self._changed.set()

    def _table(self) -> FleetTable:
        address, desired = self._gateway.address, self._desired
        failed = {replica: upkeep.reason for replica, upkeep in self._upkeeps.items() if upkeep.failed}
        failed |= self._refused
        return FleetTable(
            revision=desired.revision,
            # What a wildcard address, or one that no certificate names, says to workers elsewhere: no change for them.
            gateways=[address] if address and is_for_all(address, desired.fleet.gateway.host) else [],
            controller=self._address,
            deployments=records(desired.fleet, desired.stopped, revision=desired.revision, drained=desired.drained),
            remotes=remotes(desired.fleet),
            failed=failed,
        )

    async def _wait_for_a_change(self, helpers: list[asyncio.Task[None]]) -> None:
        for task in helpers:
            if task.done():
                task.result()  # it never ends but by an error: that is ours to die of, with its trace in the log
        due = [upkeep.due - self._clock() for upkeep in self._upkeeps.values() if upkeep.due is not None]
        longest = _GATEWAY_LOOK_SECONDS if self._gateway.starting else _PASS_SECONDS
        await set_within(self._changed, max(0.01, min([longest, *(seconds for seconds in due if seconds > 0)])))

    async def _want(self, desired: Desired) -> FleetReport:
        """Sets what is wanted and returns the report of the first pass that has seen it."""
        if self._ending.is_set():
            raise self._goes_down()
        self._desired, self._refused = desired, {}
        write_json(self._folder.desired, desired.state())
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._changed.set()
        await waiter
        return self.report()

    async def _go_down(self) -> None:
        _log.info("fleet.stopping", now=self._hurry.is_set())
        self._publish()
        down = asyncio.create_task(
            take_down(self._folder, self._launcher, grace_seconds=self._desired.fleet.grace, hurry=self._hurry)
        )
        while not down.done():
            await asyncio.wait({down}, timeout=_PASS_SECONDS / 2)
            await self._look()
            self._publish()
        await down
        self._bulletin.stopped()

    def _goes_down(self) -> UnavailableError:
        return UnavailableError(f"fleet {self._folder.name} is being taken down")


def _gateway_outdated(before: Fleet, after: Fleet) -> bool:
    """Whether a gateway that runs needs another start, besides for its port (its record tells that)."""
    door = [(fleet.gateway.model_copy(update={"port": 0}), fleet.arena) for fleet in (before, after)]
    return door[0] != door[1] or (after.arena is not None and sources(before) != sources(after))


def _amended(running: ReplicaSpec, wanted: ReplicaSpec) -> bool:
    """Whether something differs that its worker takes without another start: the planner left it its generation."""
    now, then = (running.config, running.grace_seconds), (wanted.config, wanted.grace_seconds)
    return running.generation == wanted.generation and now != then


def _now() -> int:
    """Unix milliseconds: revisions."""
    return time.time_ns() // 1_000_000


def _notable(views: Sequence[ReplicaView]) -> object:
    """What of the gateway's views is worth a pass: not the requests in flight."""
    return [(view.id, view.state, view.routable, view.reason) for view in views]
