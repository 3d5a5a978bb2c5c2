"""The composition roots of gateway, controller and worker: from settings to objects that know each other.

Each `run_…` owns its process: its event loop, signals, log and exit code. Nothing else in Argosy makes these choices.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from argosy.config.environment import Environment
from argosy.errors import InputError
from argosy.protocol.admin import FleetTable
from argosy.state import FleetFolder

if TYPE_CHECKING:
    from argosy.config.schema import Arena, FastChat, Fleet
    from argosy.fleet.controller import Controller
    from argosy.gateway.app import Gateway
    from argosy.gateway.arena import ArenaSurface
    from argosy.gateway.call import Call, Visit
    from argosy.gateway.callers import Callers
    from argosy.gateway.keys import ClientKeys
    from argosy.gateway.openai import OpenAISurface
    from argosy.processes.identity import ProcessIdentity
    from argosy.protocol.replica import ReplicaSpec
    from argosy.registry.registry import Registry
    from argosy.telemetry.logging import LogFormat
    from argosy.telemetry.otlp import Otlp
    from argosy.wire.client import Client
    from argosy.worker.listener import Target
    from argosy.worker.main import Beside


@dataclass(frozen=True)
class ArenaSettings:
    """`database`: a file or a URL; `sources`: by deployment, where its weights come from."""

    wanted: Arena
    database: str = field(repr=False)
    sources: Mapping[str, str]


@dataclass(frozen=True)
class GatewaySettings:
    """What a gateway is started with."""

    host: str
    port: int  # 0: a free one
    client_keys: ClientKeys
    allowed_hosts: tuple[str, ...]
    max_body_bytes: int
    grace_seconds: float
    table: FleetTable  # what it knows at its start
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    log_format: LogFormat = "text"
    fastchat: FastChat | None = None  # a listener that this gateway keeps itself, where no controller does
    tls: tuple[str, str] | None = None  # certificate and key, PEM files; None: plain HTTP
    arena: ArenaSettings | None = None
    telemetry: Literal["otlp"] | None = None


@dataclass(frozen=True)
class GatewaySecrets:
    """`client_keys` are among the settings: which there are depends on where the door is."""

    admin_key: str = field(repr=False)
    join_token: str = field(repr=False)


def run_gateway(
    settings: GatewaySettings,
    folder: FleetFolder,
    environment: Environment,
    on_listening: Callable[[str], None],
    *,
    log: Path | None = None,
) -> int:
    """Serves until SIGTERM or SIGINT, then finishes what runs (a second signal does not wait). Returns the exit code.

    `on_listening` is told the address once the door is open. `log`: the file that stdout goes to, to be kept small.
    Raises InputError when the port cannot be had, or the certificate not be used.
    """
    from argosy.telemetry import logging  # noqa: PLC0415
    from argosy.wire.serving import listen  # noqa: PLC0415

    logging.configure(log_format=settings.log_format)
    listener = listen(settings.host, settings.port)
    import uvloop  # noqa: PLC0415

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve_gateway(settings, folder, environment, listener, on_listening, log=log))


def compose_gateway(
    settings: GatewaySettings,
    secrets: GatewaySecrets,
    variables: Mapping[str, str],
    *,
    on_end: Callable[[Call], None],
    on_visit: Callable[[Visit], None],
    on_table: Callable[[FleetTable], None],
    clock: Callable[[], float] = time.monotonic,
    draw: Callable[[], float] = random.random,
    comment_seconds: float = 15.0,
    batch: int = 64,
    page: Path | None = None,
    otlp: Otlp | None = None,
) -> Gateway:
    """The gateway's objects; call it where its event loop runs. `variables`: for remotes' keys and proxies.
    `comment_seconds`: between two signs of life for a stream that waits. `batch`: ended calls that are counted at once.
    `page`: the folder of the built page, where it is not the package's own.

    `otlp`: where spans and metrics go, if anywhere.

    `on_end` gets every call when it is over and counted, `on_visit` every other request, `on_table` every new table of
    the fleet.
    """
    from argosy.dispatch.dispatcher import Dispatcher  # noqa: PLC0415
    from argosy.gateway.admin import FleetSurface  # noqa: PLC0415
    from argosy.gateway.answers import Answers  # noqa: PLC0415
    from argosy.gateway.app import Gateway  # noqa: PLC0415
    from argosy.gateway.auth import Gatekeeper  # noqa: PLC0415
    from argosy.gateway.callers import Callers  # noqa: PLC0415
    from argosy.gateway.client_address import ClientAddresses  # noqa: PLC0415
    from argosy.gateway.cors import Cors  # noqa: PLC0415
    from argosy.gateway.embedding_batches import EmbeddingBatches  # noqa: PLC0415
    from argosy.gateway.joining import Joining  # noqa: PLC0415
    from argosy.gateway.ledger import Ledger  # noqa: PLC0415
    from argosy.gateway.metrics import MetricsSurface  # noqa: PLC0415
    from argosy.gateway.openai import OpenAISurface  # noqa: PLC0415
    from argosy.gateway.orders import Orders  # noqa: PLC0415
    from argosy.gateway.page import PageSurface  # noqa: PLC0415
    from argosy.gateway.prober import Prober  # noqa: PLC0415
    from argosy.gateway.relay import Relay  # noqa: PLC0415
    from argosy.gateway.request_metrics import RequestMetrics  # noqa: PLC0415
    from argosy.gateway.throughput import Throughput  # noqa: PLC0415
    from argosy.gateway.time_limits import TimeKeeper  # noqa: PLC0415
    from argosy.gateway.token_check import TokenCheck  # noqa: PLC0415
    from argosy.gateway.upstreams import Upstreams  # noqa: PLC0415
    from argosy.registry.registry import Registry  # noqa: PLC0415
    from argosy.wire.client import Client  # noqa: PLC0415

    gatekeeper = Gatekeeper(
        settings.client_keys.all,
        secrets.admin_key,
        [settings.host],
        allowed_hosts=settings.allowed_hosts,
        origins=settings.cors_origins,
        clock=clock,
    )
    addresses = ClientAddresses(settings.trusted_proxies)
    throughput = Throughput(clock)
    requests = RequestMetrics()

    readers = [throughput.ended, requests.ended, on_end]
    trace = None
    if otlp is not None and otlp.spans is not None:
        from argosy.gateway.spans import Spans  # noqa: PLC0415

        spans = Spans(otlp.spans, otlp.sampler, otlp.resource, clock)
        trace = spans.begin
        readers.append(spans.ended)
    if otlp is not None and otlp.meter is not None:
        from argosy.gateway.gen_ai_metrics import GenAiMetrics  # noqa: PLC0415

        readers.append(GenAiMetrics(otlp.meter).ended)
    ledger = Ledger(asyncio.get_running_loop(), readers, batch=batch)

    def rates() -> Mapping[str, float]:
        ledger.settle()
        return throughput.rates()

    registry = Registry()
    registry.apply_table(settings.table, clock())
    dispatcher = Dispatcher(registry, clock=clock, draw=draw)
    upstreams = Upstreams(secrets.join_token, variables)
    relay = Relay(
        registry,
        dispatcher,
        upstreams,
        Answers(clock, throughput.streamed),
        clock=clock,
        time_keeper=TimeKeeper(asyncio.get_running_loop()),
    )
    surface = OpenAISurface(
        registry,
        relay,
        EmbeddingBatches(relay, clock),
        gatekeeper,
        addresses,
        max_body_bytes=settings.max_body_bytes,
        comment_seconds=comment_seconds,
        clock=clock,
        on_end=ledger.ended,
        trace=trace,
    )
    callers = Callers(gatekeeper, addresses)
    client = Client()
    return Gateway(
        registry=registry,
        surface=surface,
        fleet=FleetSurface(
            registry=registry,
            dispatcher=dispatcher,
            gatekeeper=gatekeeper,
            orders=Orders(),
            joining=Joining(registry, client, secrets.join_token),
            join_token=secrets.join_token,
            client=client,
            clock=clock,
            on_table=on_table,
            rates=rates,
        ),
        token_check=TokenCheck(registry, relay, upstreams, clock, callers=callers, unknown=surface.unknown),
        metrics=MetricsSurface(
            registry=registry, dispatcher=dispatcher, ledger=ledger, requests=requests, gatekeeper=gatekeeper
        ),
        page=PageSurface(registry=registry, dispatcher=dispatcher, callers=callers, folder=page),
        arena=_arena(settings.arena, registry, callers, surface, clock=clock, draw=draw, on_visit=on_visit),
        ledger=ledger,
        gatekeeper=gatekeeper,
        upstreams=upstreams,
        prober=Prober(registry, upstreams, clock),
        callers=callers,
        cors=Cors(settings.cors_origins) if settings.cors_origins else None,
        clock=clock,
        on_visit=on_visit,
    )


def _arena(
    settings: ArenaSettings | None,
    registry: Registry,
    callers: Callers,
    surface: OpenAISurface,
    *,
    clock: Callable[[], float],
    draw: Callable[[], float],
    on_visit: Callable[[Visit], None],
) -> ArenaSurface:
    from argosy.config.arena import missing_packages  # noqa: PLC0415
    from argosy.gateway.arena import ArenaSurface, OpenArena  # noqa: PLC0415

    opened: OpenArena | None = None
    why_none = missing_packages() if settings is not None else "the fleet file has no `arena`"
    if settings is not None and why_none is None:
        from argosy.arena.archive import Archive  # noqa: PLC0415
        from argosy.arena.battles import Battles  # noqa: PLC0415
        from argosy.gateway.arena_rates import Rates  # noqa: PLC0415

        wanted = settings.wanted
        opened = OpenArena(
            settings=wanted,
            sources=settings.sources,
            archive=Archive(settings.database, clock),
            battles=Battles(clock),
            battle_rates=Rates("battles", wanted.battles_per_minute, clock),
            vote_rates=Rates("votes", wanted.votes_per_minute, clock),
        )
    return ArenaSurface(
        opened,
        why_none,
        registry=registry,
        callers=callers,
        surface=surface,
        clock=clock,
        chance=draw,
        on_visit=on_visit,
    )


async def _serve_gateway(
    settings: GatewaySettings,
    folder: FleetFolder,
    environment: Environment,
    listener: socket.socket,
    on_listening: Callable[[str], None],
    *,
    log: Path | None,
) -> int:
    from argosy.gateway.access_log import AccessLog  # noqa: PLC0415
    from argosy.gateway.keys import KeyWatch  # noqa: PLC0415
    from argosy.processes.identity import ProcessIdentity  # noqa: PLC0415
    from argosy.state import ProcessRecord, write_json  # noqa: PLC0415
    from argosy.telemetry.rotation import RotatingLog  # noqa: PLC0415
    from argosy.wire.serving import address_of, serve  # noqa: PLC0415
    from argosy.wire.tls import fingerprint, server_context  # noqa: PLC0415

    secrets = GatewaySecrets(
        admin_key=environment.admin_key or folder.make_secret("admin_key"),
        join_token=environment.join_token or folder.make_secret("join_token"),
    )
    access_log = AccessLog(sys.stdout, settings.log_format)
    otlp = None
    if settings.telemetry is not None:
        from argosy.telemetry.otlp import Otlp  # noqa: PLC0415

        otlp = Otlp(environment.variables)
    gateway = compose_gateway(
        settings,
        secrets,
        environment.variables,
        on_end=access_log.write,
        on_visit=access_log.write,
        on_table=lambda table: write_json(folder.table, table),
        otlp=otlp,
    )
    tls = server_context(*settings.tls) if settings.tls is not None else None
    address = address_of(listener, "https" if tls is not None else "http")
    keys = settings.client_keys
    watched = str(keys.file) if keys.file is not None else None
    shown = fingerprint(settings.tls[0]) if settings.tls is not None else None
    record = ProcessRecord(identity=ProcessIdentity.own(), address=address, certificate=shown, client_keys=watched)
    write_json(folder.gateway, record)
    # Requests leave no cycles behind: looking for some after every 700 new objects is a twentieth of their cost.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    try:
        # A gateway whose tables are kept no more must not go on serving from them: it ends, and another is started.
        async with asyncio.TaskGroup() as together:
            beside = [together.create_task(gateway.run())]
            beside.append(together.create_task(KeyWatch(keys, gateway.gatekeeper.take).run()))
            if log is not None:
                beside.append(together.create_task(RotatingLog(log).keep_small()))
            if settings.fastchat is not None:
                beside.append(together.create_task(_keep_companion(folder, settings.fastchat, environment)))
            await serve(gateway, listener, settings.grace_seconds, lambda: on_listening(address), tls=tls)
            for task in beside:
                task.cancel()
    finally:
        gateway.ledger.settle()
        access_log.flush()
        if otlp is not None:
            otlp.close()
        _forget_own_record(folder, record)
    return 0


async def _keep_companion(folder: FleetFolder, settings: FastChat, environment: Environment) -> None:
    from argosy.fleet.companion import LOOK_SECONDS, Companion  # noqa: PLC0415

    companion = Companion(folder, env=environment.variables, owner=os.getpid())
    try:
        while True:
            companion.keep(settings, time.monotonic())
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await companion.end()


def make_client_key(fleet: Fleet, folder: FleetFolder, environment: Environment) -> str | None:
    """A client key made now, because this fleet's door would be open to others without one; None where it has keys or
    needs none. Raises InputError for a key file that cannot be read."""
    from argosy.gateway.keys import client_keys  # noqa: PLC0415

    return client_keys(fleet.gateway.host, fleet.gateway.api_key_file, environment.api_keys, folder).made


def gateway_settings(fleet: Fleet, folder: FleetFolder, environment: Environment, *, revision: int) -> GatewaySettings:
    """What a gateway of this fleet is started with."""
    from argosy.fleet.planner import records, remotes, sources  # noqa: PLC0415
    from argosy.gateway.keys import client_keys  # noqa: PLC0415
    from argosy.state import read_json  # noqa: PLC0415

    settings = fleet.gateway
    keys = client_keys(settings.host, settings.api_key_file, environment.api_keys, folder)
    # What the controller pushed last, where this gateway is started again: failures, the controller's address.
    table = read_json(folder.table, FleetTable)
    if table is None or table.revision < revision:
        table = FleetTable(revision=revision, deployments=records(fleet, (), revision=revision), remotes=remotes(fleet))
    arena = None
    if fleet.arena is not None:
        arena = ArenaSettings(fleet.arena, fleet.arena.database or str(folder.arena), sources(fleet))
    return GatewaySettings(
        host=settings.host,
        port=settings.port,
        client_keys=keys,
        allowed_hosts=settings.allowed_hosts,
        max_body_bytes=settings.max_body_mib * 1024 * 1024,
        grace_seconds=fleet.grace,
        table=table,
        cors_origins=settings.cors_origins,
        trusted_proxies=settings.trusted_proxies,
        log_format=settings.log_format,
        tls=(settings.tls_certificate, settings.tls_key) if settings.tls_certificate and settings.tls_key else None,
        arena=arena,
        telemetry=settings.telemetry,
    )


def run_fleet_gateway(folder: FleetFolder, environment: Environment, *, port: int | None = None) -> int:
    """The gateway that a controller starts: its settings are the fleet's desired state. `port` instead of theirs."""
    from argosy.fleet.observer import fleet_of  # noqa: PLC0415
    from argosy.state import DesiredState, read_json  # noqa: PLC0415

    desired = read_json(folder.desired, DesiredState)
    if desired is None:
        raise InputError(f"{folder.desired} is missing or not of this version: `argosy up` writes it")
    fleet = fleet_of(desired, folder)
    settings = gateway_settings(fleet, folder, environment, revision=desired.revision)
    if port is not None:
        settings = replace(settings, port=port)
    return run_gateway(settings, folder, environment, lambda _: None, log=folder.log("gateway"))


def _forget_own_record(folder: FleetFolder, record: object) -> None:
    from argosy.state import ProcessRecord, read_json  # noqa: PLC0415

    if read_json(folder.gateway, ProcessRecord) == record:
        folder.gateway.unlink(missing_ok=True)


def run_controller(folder: FleetFolder, environment: Environment) -> int:
    """Keeps a fleet as it is wanted, until it is taken down. Returns the exit code.

    Wants what `request.json` asks for, else what an earlier controller wanted. Raises InputError when there is neither,
    or when the fleet has a controller already. A fleet with an owner goes with it, and its folder too.
    """
    from argosy.fleet.lock import only_controller  # noqa: PLC0415
    from argosy.processes.identity import ProcessIdentity  # noqa: PLC0415
    from argosy.state import read_json  # noqa: PLC0415
    from argosy.telemetry import logging  # noqa: PLC0415

    logging.configure()
    owner = read_json(folder.owner, ProcessIdentity)
    with only_controller(folder):
        code = asyncio.run(_control(folder, environment, owner))
        if owner is not None:
            shutil.rmtree(folder.root, ignore_errors=True)
    return code


async def _control(folder: FleetFolder, environment: Environment, owner: ProcessIdentity | None) -> int:
    from argosy.config.needs import Needs  # noqa: PLC0415
    from argosy.devices.inventory import Machine  # noqa: PLC0415
    from argosy.fleet.api import FleetListener, controller_app  # noqa: PLC0415
    from argosy.fleet.companion import Companion  # noqa: PLC0415
    from argosy.fleet.controller import Controller  # noqa: PLC0415
    from argosy.fleet.gateway_process import GatewayProcess  # noqa: PLC0415
    from argosy.fleet.local import LocalLauncher  # noqa: PLC0415
    from argosy.fleet.observer import fleet_of, runs  # noqa: PLC0415
    from argosy.models.pulling import pull  # noqa: PLC0415
    from argosy.processes.identity import ProcessIdentity  # noqa: PLC0415
    from argosy.protocol.admin import ProcessReport  # noqa: PLC0415
    from argosy.state import DesiredState, ProcessRecord, read_json, write_json  # noqa: PLC0415
    from argosy.telemetry.rotation import RotatingLog  # noqa: PLC0415
    from argosy.wire.client import Client  # noqa: PLC0415
    from argosy.wire.tls import fleet_pins  # noqa: PLC0415

    before = read_json(folder.desired, DesiredState)
    desired = read_json(folder.request, DesiredState) or before
    if desired is None:
        raise InputError(f"nothing is wanted of fleet {folder.name}: `argosy up` says what")
    if not runs(folder):  # else what runs would not know them
        for name, given in (("admin_key", environment.admin_key), ("join_token", environment.join_token)):
            if given is not None:
                folder.set_secret(name, given)
    admin_key = folder.make_secret("admin_key")
    folder.make_secret("join_token")
    # The folder's secrets are the fleet's; a variable of this shell may be of another one.
    variables = {
        name: value
        for name, value in environment.variables.items()
        if name not in ("ARGOSY_ADMIN_KEY", "ARGOSY_JOIN_TOKEN")
    }
    client = Client(pins=fleet_pins(folder))
    listener = FleetListener()
    changed = asyncio.Event()
    identity = ProcessIdentity.own()
    controller = Controller(
        folder,
        launcher=LocalLauncher(folder, env=variables, machine=Machine.of(environment.devices, environment.variables)),
        needs=Needs(environment.cache, folder.footprints).of_fleet,
        gateway=GatewayProcess(folder, client=client, admin_key=admin_key, changed=changed.set, env=variables),
        companion=Companion(folder, env=variables),
        desired=desired,
        before=fleet_of(before, folder) if before is not None else None,
        address=listener.address,
        own=ProcessReport(state="running", pid=identity.pid, address=listener.address, since=identity.started),
        changed=changed,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, controller.end)
    write_json(folder.desired, desired)
    folder.request.unlink(missing_ok=True)
    write_json(folder.controller, ProcessRecord(identity=identity, address=listener.address))
    surface = controller_app(
        controller,
        name=folder.name,
        admin_key=admin_key,
        environment=environment,
        pull=partial(pull, cache=environment.cache, variables=environment.variables, order=environment.sources),
    )
    try:
        # A controller whose surface is gone hears nobody any more: it ends, its trace in the log; what runs keeps on.
        async with asyncio.TaskGroup() as together:
            together.create_task(listener.serve_app(surface))
            beside = [together.create_task(RotatingLog(folder.log("controller")).keep_small())]
            if owner is not None:
                beside.append(together.create_task(_end_with(owner, controller)))
            await controller.run()
            listener.should_exit = True
            for task in beside:
                task.cancel()
    finally:
        await client.close()
        folder.controller.unlink(missing_ok=True)
    return 0


async def _end_with(owner: ProcessIdentity, controller: Controller) -> None:
    """A fleet that one command started for itself: however that ended, nobody is left who waits for an answer."""
    from argosy.fleet.exits import wait_exit  # noqa: PLC0415

    await wait_exit(owner)
    controller.down(now=True)


def run_worker(spec_path: Path, environment: Environment, *, log: Path | None = None) -> int:
    """Hosts the replica of FLEET/replicas/ID/spec.json until it is stopped (0) or gave up (1): the exit code.

    SIGTERM drains, a second one stops at once. `log`: the replica's log, where stdout does not go to it already.
    Raises InputError for a spec that cannot be served.
    """
    from argosy.telemetry import logging  # noqa: PLC0415
    from argosy.worker import main  # noqa: PLC0415

    logging.configure(log)
    spec, folder = main.read_spec(spec_path)
    return asyncio.run(main.run(spec, folder, environment, _fastchat_registration(spec)))


def _fastchat_registration(spec: ReplicaSpec) -> Callable[[Client, str], Beside] | None:
    """What makes a worker's registration at an old FastChat controller; None where it has none."""
    settings = spec.fastchat
    if settings is None:
        return None
    from argosy.fastchat.registration import Registration  # noqa: PLC0415

    def beside_of(client: Client, join_token: str) -> Beside:
        names = [spec.deployment.name, *spec.deployment.aliases]
        secret = f"{join_token} {spec.deployment.name}"

        def beside(target: Callable[[], Target | None]) -> Coroutine[Any, Any, None]:
            return Registration(settings, names=names, secret=secret, client=client, target=target).run()

        return beside

    return beside_of


def run_fastchat(folder: FleetFolder, settings: FastChat, environment: Environment, *, owner: int | None) -> int:
    """The listener for old FastChat processes, until SIGTERM, SIGINT or the end of the process `owner`. Returns the
    exit code.

    Raises InputError when its address cannot be had, or the fleet has no join token.
    """
    from argosy.fastchat import main  # noqa: PLC0415
    from argosy.processes.identity import ProcessIdentity  # noqa: PLC0415
    from argosy.telemetry import logging  # noqa: PLC0415

    logging.configure()
    try:
        who = ProcessIdentity.of(owner) if owner is not None else None
    except ProcessLookupError:
        return 0  # it ended before we began
    return asyncio.run(main.run(folder, settings, environment, who))
