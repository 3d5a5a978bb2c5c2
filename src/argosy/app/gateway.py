"""The gateway's process: its event loop, signals, log and exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from argosy.app.composition import compose_gateway
from argosy.app.heap import keep_freed_memory
from argosy.app.settings import GatewaySecrets, GatewaySettings, gateway_settings
from argosy.config.environment import Environment
from argosy.errors import InputError
from argosy.state import FleetFolder

if TYPE_CHECKING:
    from argosy.config.schema import FastChat


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
        on_end=access_log.write_calls,
        on_visit=access_log.write_visit,
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
    keep_freed_memory()
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


def _forget_own_record(folder: FleetFolder, record: object) -> None:
    from argosy.state import ProcessRecord, read_json  # noqa: PLC0415

    if read_json(folder.gateway, ProcessRecord) == record:
        folder.gateway.unlink(missing_ok=True)
