"""One life of a replica's engine: from its command line to its end. Owns its port, its key and what counts as hung.

The process itself is engine_process.py's, what to do after the end main.py's.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from argosy.config.schema import Deployment
from argosy.engines import machine
from argosy.engines.base import Engine, EngineContext, Launch
from argosy.errors import EngineError
from argosy.protocol.replica import AssignedDevice
from argosy.telemetry.logging import EventLog
from argosy.wire.client import Client
from argosy.worker import probe
from argosy.worker.ending import Ending
from argosy.worker.engine_process import EngineProcess
from argosy.worker.probe import Listener, Probe
from argosy.worker.reservations import NoRoomError, Reservations
from argosy.worker.visible_devices import device_variables

_PORT_TRIES = 3
_FIRST_LOOK_SECONDS = 0.05  # between two looks whether it is ready: short for the quick ones …
_LONGEST_LOOK_SECONDS = 0.5  # … and cheap for those that load for minutes
_BUSY_CORES = 0.2

_log = EventLog("worker")


class _PortLostError(Exception):
    """Another process has the port that was chosen."""


@dataclass(frozen=True)
class Patience:
    """When silence means that an engine hangs. Generous: busy is not dead."""

    interval_seconds: float = 5.0
    probe_seconds: float = 10.0
    probes: int = 3
    probes_while_busy: int = 12  # while it uses its cores: its health may wait behind a long prompt


@dataclass(frozen=True)
class Blueprint:
    """What every incarnation of one replica has in common."""

    replica: str
    name: str
    deployment: Deployment
    engine: Engine
    log: Path
    record: Path  # engine.json
    address_file: Path
    variables: Mapping[str, str]  # without Argosy's own keys
    client: Client
    reservations: Reservations
    devices: tuple[AssignedDevice, ...] | None = None  # GPUs it was given; None: nobody says
    patience: Patience = Patience()
    python: Path = Path(sys.executable)  # of the environment it runs in
    companions: Mapping[str, Path] = field(default_factory=dict)


class Incarnation:
    """A started engine that was ready once. Made by `start`."""

    def __init__(self, blueprint: Blueprint, process: EngineProcess, probe: Probe, memory: ExitStack) -> None:
        self._blueprint = blueprint
        self._process = process
        self._probe = probe
        self._memory = memory

    @classmethod
    async def start(
        cls, blueprint: Blueprint, path: Path | None, key: str, on_pid: Callable[[int], None]
    ) -> Incarnation:
        """Returns once it can serve; cancelled or failed, it leaves nothing. Raises EngineError."""
        for attempt in range(1, _PORT_TRIES + 1):
            port = 0 if blueprint.engine.tells_port else probe.free_port()
            context = EngineContext(
                name=blueprint.name,
                deployment=blueprint.deployment,
                path=path,
                key=key,
                port=port,
                address_file=blueprint.address_file,
                chat_template=_chat_template(blueprint),
                devices=blueprint.devices,
                python=blueprint.python,
                companions=blueprint.companions,
            )
            try:
                return await cls._start_once(blueprint, context, on_pid)
            except _PortLostError:
                _log.warning("engine.port_taken", replica=blueprint.replica, port=port, attempt=attempt)
        raise EngineError(
            f"{blueprint.replica}: {_PORT_TRIES} ports in turn were free when chosen and another process's when the "
            f"engine was to listen there, the last one {port}: does its command use {{port}}?"
        )

    @property
    def address(self) -> str:
        return self._probe.address

    def pids(self) -> list[int]:
        """The engine and all below it, now."""
        return self._process.pids()

    async def watch(self) -> NoReturn:
        """Until it ends or hangs. Raises EngineError, with the reason."""
        patience, silent, used = self._blueprint.patience, 0, self._process.cpu_seconds()
        while True:
            if ending := await self._process.ends_within(patience.interval_seconds):
                raise EngineError(self._sentence(ending))
            self._process.remember_tree()
            if await _unless_ended(self._process, self._probe.answers(patience.probe_seconds)):
                silent = 0
                continue
            silent += 1
            now_used = self._process.cpu_seconds()
            busy = now_used - used > _BUSY_CORES * (patience.interval_seconds + patience.probe_seconds)
            used = now_used
            if silent >= (patience.probes_while_busy if busy else patience.probes) and not self._process.ended.done():
                raise EngineError(
                    f"{self._blueprint.replica} hung: its engine runs, but answered none of {silent} probes of "
                    f"{self._blueprint.engine.health(self._blueprint.deployment)} within {patience.probe_seconds:g} s "
                    f"(argosy logs {self._blueprint.replica})"
                )

    async def stop(self, grace_seconds: float) -> None:
        """Returns when nothing of it is left."""
        await self._process.stop(grace_seconds)
        self._memory.close()

    def _sentence(self, ending: Ending) -> str:
        return ending.sentence(self._blueprint.replica, was_ready=True, last_lines=self._process.mark.last_lines())

    @classmethod
    async def _start_once(
        cls, blueprint: Blueprint, context: EngineContext, on_pid: Callable[[int], None]
    ) -> Incarnation:
        launch = blueprint.engine.launch(context)
        with ExitStack() as memory:
            _reserve(blueprint, context, memory)
            process, ready = await cls._launch(blueprint, context, launch, on_pid)
            return cls(blueprint, process, ready, memory.pop_all())

    @staticmethod
    async def _launch(
        blueprint: Blueprint, context: EngineContext, launch: Launch, on_pid: Callable[[int], None]
    ) -> tuple[EngineProcess, Probe]:
        context.address_file.unlink(missing_ok=True)
        filled = {
            name: value.replace("{key}", context.key).replace("{port}", str(context.port))
            for name, value in blueprint.deployment.env.items()
        }
        process = await EngineProcess.start(
            launch,
            # The plan's word on GPUs is the last one.
            environment={
                **blueprint.variables,
                **_programs(context, blueprint.variables),
                **launch.env,
                **filled,
                **device_variables(blueprint.devices),
            },
            log=blueprint.log,
            record=blueprint.record,
        )
        try:
            on_pid(process.pid)
            return process, await _ready(blueprint, context, process)
        except BaseException:
            await process.stop(0)
            raise


async def _ready(blueprint: Blueprint, context: EngineContext, process: EngineProcess) -> Probe:
    """Waits until the engine can serve. Raises EngineError when it ends before, _PortLostError for a stranger there."""
    health, look_seconds = blueprint.engine.health(context.deployment), _FIRST_LOOK_SECONDS
    while True:
        address = f"http://127.0.0.1:{context.port}" if context.port else _told(context.address_file)
        if address is not None:
            asked = Probe(blueprint.client, address, health, context.key)
            if await _unless_ended(process, asked.can_serve()):
                whose = await asked.listener(process.pids())
                if whose is Listener.OURS:
                    return asked
                if whose is Listener.STRANGER or not process.pids():
                    raise _PortLostError
                raise EngineError(
                    f"{blueprint.replica}: something answers at {address}, but nothing proves that it is the engine: "
                    "no process of its tree listens there, and any key is taken. Hand it its key ({key} in env:)",
                    permanent=True,
                )
        if ending := await process.ends_within(look_seconds):
            if context.port and probe.port_is_taken(context.port):
                raise _PortLostError
            raise EngineError(ending.sentence(blueprint.replica, was_ready=False, last_lines=process.mark.last_lines()))
        look_seconds = min(_LONGEST_LOOK_SECONDS, look_seconds * 1.2)


async def _unless_ended(process: EngineProcess, asking: Coroutine[Any, Any, bool]) -> bool:
    """What the probe says; False as soon as the engine has ended: it is no use to wait for an answer then."""
    task = asyncio.create_task(asking)
    try:
        await asyncio.wait({task, process.ended}, return_when=asyncio.FIRST_COMPLETED)
        return task.done() and task.result()
    finally:
        task.cancel()


def _told(address_file: Path) -> str | None:
    try:
        return address_file.read_text().strip() or None
    except FileNotFoundError:
        return None


def _chat_template(blueprint: Blueprint) -> Path | None:
    """The deployment's own, as a file beside the address."""
    if blueprint.deployment.chat_template is None:
        return None
    file = blueprint.address_file.with_name("chat_template.jinja")
    file.write_text(blueprint.deployment.chat_template, encoding="utf-8")
    return file


def _programs(context: EngineContext, variables: Mapping[str, str]) -> Mapping[str, str]:
    """Those of its environment come first on PATH, as in a shell where that is active."""
    if not context.in_own_environment:
        return {}
    folder = context.python.parent
    path = os.pathsep.join([str(folder), variables.get("PATH", os.defpath)])
    return {"PATH": path, "VIRTUAL_ENV": str(folder.parent)}


def _reserve(blueprint: Blueprint, context: EngineContext, memory: ExitStack) -> None:
    """Makes room for it in this machine's memory, where its need is known. Raises EngineError."""
    if context.devices or (context.devices is None and machine.has_gpu()):
        return  # it lies in GPUs, which the plan has made room in, or may lie there
    need = blueprint.engine.memory(context, on_gpu=False) if blueprint.deployment.check_memory else None
    if need is None:
        return
    available, limit = machine.available_memory_bytes(), machine.memory_limit_bytes()
    try:
        memory.enter_context(
            blueprint.reservations.reserved(blueprint.replica, need, available_bytes=available, limit_bytes=limit)
        )
    except NoRoomError as error:
        raise NoRoomError(f"{blueprint.replica} {error}", permanent=error.permanent) from None
