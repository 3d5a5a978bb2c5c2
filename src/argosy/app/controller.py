"""The controller's process: its event loop, signals, log and exit code."""

from __future__ import annotations

import asyncio
import shutil
import signal
from functools import partial
from typing import TYPE_CHECKING

from argosy.config.environment import Environment
from argosy.errors import InputError
from argosy.state import FleetFolder

if TYPE_CHECKING:
    from argosy.fleet.controller import Controller
    from argosy.processes.identity import ProcessIdentity


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
    from argosy.fleet.observer import fleet_of  # noqa: PLC0415
    from argosy.fleet.tenants import tenants  # noqa: PLC0415
    from argosy.models.pulling import pull  # noqa: PLC0415
    from argosy.processes.identity import ProcessIdentity  # noqa: PLC0415
    from argosy.protocol.admin import ProcessReport  # noqa: PLC0415
    from argosy.state import DesiredState, Home, ProcessRecord, read_json, write_json  # noqa: PLC0415
    from argosy.telemetry.rotation import RotatingLog  # noqa: PLC0415
    from argosy.wire.client import Client  # noqa: PLC0415
    from argosy.wire.tls import fleet_pins  # noqa: PLC0415

    before = read_json(folder.desired, DesiredState)
    desired = read_json(folder.request, DesiredState) or before
    if desired is None:
        raise InputError(f"nothing is wanted of fleet {folder.name}: `argosy up` says what")
    admin_key = _own_secrets(folder, environment)
    # The folder's secrets are the fleet's; a variable of this shell may be of another one.
    variables = {
        name: value
        for name, value in environment.variables.items()
        if name not in ("ARGOSY_ADMIN_KEY", "ARGOSY_JOIN_TOKEN")
    }
    machine = Machine.of(environment.devices, environment.variables)
    client = Client(pins=fleet_pins(folder))
    listener = FleetListener()
    changed = asyncio.Event()
    identity = ProcessIdentity.own()
    controller = Controller(
        folder,
        launcher=LocalLauncher(folder, env=variables, machine=machine),
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
        machines=lambda: [tenants(machine.look(), Home(environment.home).fleets())],
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


def _own_secrets(folder: FleetFolder, environment: Environment) -> str:
    """The fleet's own, made or taken from this shell where nothing runs that has others; the admin key."""
    from argosy.fleet.observer import runs  # noqa: PLC0415

    if not runs(folder):
        for name, given in (("admin_key", environment.admin_key), ("join_token", environment.join_token)):
            if given is not None:
                folder.set_secret(name, given)
    folder.make_secret("join_token")
    return folder.make_secret("admin_key")


async def _end_with(owner: ProcessIdentity, controller: Controller) -> None:
    """A fleet that one command started for itself: however that ended, nobody is left who waits for an answer."""
    from argosy.fleet.exits import wait_exit  # noqa: PLC0415

    await wait_exit(owner)
    controller.down(now=True)
