"""The life of one replica: fetch, start, serve, start again with back-off, drain, stop. Owns what the replica is to do.

    pending → starting → ready → draining → stopped;  backoff: will start again;  failed: gave up

How an engine is started and watched is incarnation.py's, what gateways hear announce.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

from pydantic import ValidationError

from argosy.config.environment import Environment
from argosy.config.schema import Deployment
from argosy.devices.nvml import Nvml
from argosy.engines.measured import Footprints
from argosy.errors import BuildError, EngineError, SourceError
from argosy.processes.restarts import STARTS_IN_WINDOW, RestartHistory
from argosy.protocol.heartbeat import engine_key
from argosy.protocol.replica import ReplicaSpec, ReplicaState, ReplicaStatus
from argosy.state import FleetFolder, read_json
from argosy.tasks import background, first_of
from argosy.telemetry.logging import EventLog
from argosy.telemetry.rotation import RotatingLog
from argosy.wire.client import Client
from argosy.worker import weights
from argosy.worker.amendments import amendments
from argosy.worker.announce import Announcer
from argosy.worker.board import Board
from argosy.worker.engine_process import end_leftovers
from argosy.worker.footprint import Footprint
from argosy.worker.incarnation import Blueprint, Incarnation, Patience
from argosy.worker.joining import Joiner
from argosy.worker.listener import Listeners, Target
from argosy.worker.log_courier import LogCourier
from argosy.worker.memory import keep_measured
from argosy.worker.preparation import Preparation, Prepared, on_gpu
from argosy.worker.reservations import NoRoomError, Reservations
from argosy.worker.visible_devices import device_labels

_ENGINE_GRACE_SECONDS = 5.0  # for the engine's own end, when no request is left
_HURRIED_GRACE_SECONDS = 0.3
_ROOM_SECONDS = 10.0  # beyond a drain's grace: until the memory of what drained is free

Beside = Callable[[Callable[[], Target | None]], Coroutine[Any, Any, None]]

_log = EventLog("worker")


class Worker:
    """Hosts one replica until it is told to stop, or gives up."""

    def __init__(
        self,
        *,
        spec: ReplicaSpec,
        folder: FleetFolder,
        environment: Environment,
        join_token: str,
        client: Client,
        patience: Patience | None = None,
        beside: Beside | None = None,
    ) -> None:
        """`beside`: runs as long as the worker, told where its engine is."""
        self._spec = spec
        self._cache = environment.cache
        self._join_token = join_token
        self._deployment = Deployment.model_validate(spec.config)
        self._slots = 1  # until the engine is known
        files = folder.replica(spec.id)
        self._spec_file = files.spec
        previous = read_json(files.status, ReplicaStatus)
        self._log_file = folder.log(spec.id)
        self._board = Board(
            files.status,
            ReplicaStatus(
                id=spec.id,
                generation=spec.generation,
                epoch=previous.epoch if previous else 0,
                state=ReplicaState.PENDING,
                since=time.time(),
                node=spec.node or socket.gethostname(),
                devices=device_labels(spec.devices),
                worker=secrets.token_hex(8),
                worker_pid=os.getpid(),
                concurrency=self._deployment.concurrency or self._slots,
                weight=self._deployment.weight,
                by_hand=spec.join is not None,
            ),
        )
        self._preparation = Preparation(
            deployment=self._deployment,
            cache=environment.cache,
            variables=environment.for_others(),
            sources=environment.sources,
            on_gpu=on_gpu(self._deployment, spec.devices),
            report=lambda text: self._board.change(reason=text),
        )
        self._record = files.engine
        self._blueprint = functools.partial(
            Blueprint,
            replica=spec.id,
            name=spec.deployment.name,
            deployment=self._deployment,
            log=self._log_file,
            record=self._record,
            address_file=files.address,
            variables=environment.for_others(),
            devices=spec.devices,
            client=client,
            reservations=Reservations(folder.reservations, folder.name),
            patience=patience or Patience(),
        )
        self._footprint = Footprint(
            Footprints(folder.footprints),
            self._deployment,
            spec.devices,
            Nvml(),
        )
        self._courier = LogCourier(client=client, join_token=join_token, replica=spec.id, file=self._log_file)
        self._client = client
        self._beside = beside
        self._listeners = Listeners(client, self._target, replica=spec.id, join_token=join_token, settings=spec.join)
        self._announcer = Announcer(
            client=client,
            join_token=join_token,
            deployment=spec.deployment,
            board=self._board,
            listeners=self._listeners,
            gateways=spec.gateways,
            on_drain=self.drain,
            on_stop=self.stop_now,
            on_log_query=self._courier.ask,
        )
        self._incarnation: Incarnation | None = None
        self._drain_asked = asyncio.Event()
        self._hurried = asyncio.Event()

    def drain(self) -> None:
        """Finish what runs, then stop."""
        if not self._drain_asked.is_set():
            _log.info("replica.drain_asked", replica=self._spec.id)
            self._drain_asked.set()

    def stop_now(self) -> None:
        """Wait for nothing."""
        if not self._hurried.is_set():
            _log.info("replica.stop_asked", replica=self._spec.id)
            self._drain_asked.set()
            self._hurried.set()

    async def run(self) -> int:
        """Until stopped (0) or failed (1): the exit code. Raises InputError where a gateway does not take it."""
        try:
            if self._spec.join is not None:
                await self._join()
            return await self._run() if not self._drain_asked.is_set() else 0
        finally:
            await self._listeners.close()

    async def _join(self) -> None:
        """Returns when a gateway has taken it, or when it is told to end. Nothing is fetched or loaded before."""
        self._board.change(model=await weights.identity(self._deployment, cache=self._cache))
        joiner = Joiner(
            self._board.status,
            self._spec.deployment.name,
            self._spec.deployment.aliases,
            client=self._client,
            join_token=self._join_token,
            listeners=self._listeners,
        )
        joining = asyncio.create_task(joiner.join(self._spec.gateways), name="join")
        await first_of(joining, self._drain_asked.wait())
        if joining.done():
            joining.result()
        else:
            joining.cancel()
            await asyncio.wait({joining})

    async def _run(self) -> int:
        killed = await asyncio.to_thread(end_leftovers, self._record)
        if killed:
            _log.warning("replica.leftovers_killed", replica=self._spec.id, processes=killed)
        async with background(
            self._announcer.run(),
            self._courier.run(),
            RotatingLog(self._log_file).keep_small(),
            keep_measured(self._board, self._engine_pids),
            self._footprint.keep(self._board, self._engine_pids),
            self._heed_amendments(),
            *([self._beside(self._target)] if self._beside is not None else []),
        ):
            serving = asyncio.create_task(self._serve(), name="serve")
            try:
                await first_of(serving, self._drain_asked.wait())
                if not serving.done():
                    await self._drain(serving)
            finally:
                await self._end(serving)
            if self._board.state is not ReplicaState.FAILED:
                self._board.change(state=ReplicaState.STOPPED, address=None, engine_pid=None)
        await self._announcer.farewell()
        return 1 if self._board.state is ReplicaState.FAILED else 0

    async def _heed_amendments(self) -> None:
        """The controller rewrites the spec where something changes that needs no other start."""
        async for spec in amendments(self._spec_file, self._spec.generation):
            try:
                deployment = Deployment.model_validate(spec.config)
            except ValidationError as error:  # a newer controller's: what runs goes on as it is
                _log.warning("spec.not_understood", replica=spec.id, faults=error.error_count())
                continue
            self._spec = spec
            self._announcer.amend(spec.deployment)
            self._board.change(concurrency=deployment.concurrency or self._slots, weight=deployment.weight)

    def _engine_pids(self) -> list[int]:
        return self._incarnation.pids() if self._incarnation is not None else []

    async def _serve(self) -> None:
        """Returns when it gave up, or when the engine ended while it was drained."""
        history = RestartHistory()
        while True:
            history.started(time.monotonic())
            try:
                await self._live_once()
            except (EngineError, SourceError, BuildError) as error:
                reason, permanent, crowded = str(error), error.permanent, isinstance(error, NoRoomError)
            if self._drain_asked.is_set():
                return
            now = time.monotonic()
            if permanent:
                delay = None
            elif crowded:
                delay = history.delay_without_room(now, self._spec.grace_seconds + _ROOM_SECONDS)
            else:
                delay = history.next_delay(now)
            if delay is None:
                if not permanent:
                    reason = f"gave up after {STARTS_IN_WINDOW} starts. {reason}"
                self._board.change(state=ReplicaState.FAILED, reason=reason, address=None, engine_pid=None)
                return
            self._board.change(
                state=ReplicaState.BACKOFF,
                reason=f"{reason}; starts again in {delay:g} s",
                address=None,
                engine_pid=None,
            )
            await asyncio.sleep(delay)
            if not crowded:
                self._board.change(restarts=self._board.status.restarts + 1)

    async def _live_once(self) -> None:
        """One incarnation of the engine, from its weights to its end. Always raises EngineError, SourceError or
        BuildError."""
        board = self._board
        epoch = max(board.status.epoch + 1, time.time_ns() // 1_000_000)
        board.change(state=ReplicaState.STARTING, epoch=epoch, reason="")
        prepared = await self._preparation.run()
        self._tell_capabilities(prepared)
        self._footprint.path = prepared.path
        board.change(model=await weights.identity(self._deployment, prepared.path, cache=self._cache))
        key = engine_key(self._join_token, self._spec.id, epoch)
        blueprint = self._blueprint(engine=prepared.engine, python=prepared.python, companions=prepared.companions)
        incarnation = await Incarnation.start(
            blueprint, prepared.path, key, on_pid=lambda pid: board.change(engine_pid=pid)
        )
        self._incarnation = incarnation
        try:
            if not self._drain_asked.is_set():
                board.change(state=ReplicaState.READY, address=incarnation.address)
            await incarnation.watch()
        except EngineError as error:
            if not self._drain_asked.is_set():  # gateways first: what hangs may take its time to end
                board.change(state=ReplicaState.BACKOFF, reason=str(error), address=None)
            raise
        finally:
            self._incarnation = None
            await incarnation.stop(_HURRIED_GRACE_SECONDS if self._hurried.is_set() else _ENGINE_GRACE_SECONDS)

    def _tell_capabilities(self, prepared: Prepared) -> None:
        capabilities = prepared.engine.capabilities(self._deployment)
        self._slots = capabilities.slots
        self._board.change(
            reason="",
            concurrency=self._deployment.concurrency or self._slots,
            paths=list(capabilities.paths),
            traits=capabilities.traits,
            health=prepared.engine.health(self._deployment),
            upstream_model=self._spec.deployment.name if capabilities.checks_names else None,
            adapters=list(self._deployment.adapters),
        )

    async def _drain(self, serving: asyncio.Task[None]) -> None:
        """Lets running requests finish: until every gateway says none is left, the grace is over, or we are hurried."""
        if self._board.state is not ReplicaState.READY:
            return  # no gateway sends anything here
        self._board.change(state=ReplicaState.DRAINING)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._spec.grace_seconds):
                await first_of(serving, self._announcer.drained(), self._hurried.wait())

    async def _end(self, serving: asyncio.Task[None]) -> None:
        """Ends the engine, whatever it is at; a hurried stop cuts the engine's own grace."""
        incarnation = self._incarnation
        serving.cancel()
        await first_of(serving, self._hurried.wait())
        if not serving.done() and incarnation is not None:
            await incarnation.stop(_HURRIED_GRACE_SECONDS)
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    def _target(self) -> Target | None:
        status = self._board.status
        if status.address is None:
            return None
        paths = frozenset({*status.paths, status.health, "/v1/models"})
        return Target(status.address, engine_key(self._join_token, status.id, status.epoch), paths)
