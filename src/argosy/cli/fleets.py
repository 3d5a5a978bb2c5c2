"""Which fleet a command means, and how it is reached. Shared by the commands that need a running one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from argosy.config.environment import Environment
from argosy.errors import InputError, NotRunningError
from argosy.state import FleetFolder, Home

if TYPE_CHECKING:
    from argosy.fleet.client import ControllerClient
    from argosy.fleet.gateway_client import GatewayClient
    from argosy.protocol.admin import FleetReport
    from argosy.wire.client import Client


def read_environment() -> Environment:
    return Environment.read(os.environ)


def read_secret(file: Path) -> str:
    """A key or token that lies alone in a file. Raises InputError."""
    try:
        secret = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the secret in {file} cannot be read: {error}") from None
    if not secret or any(character.isspace() for character in secret):
        raise InputError(f"{file} must hold one key or token and nothing else")
    return secret


def fleet_folder(environment: Environment, name: str) -> FleetFolder:
    """The folder of a fleet of that name. Raises InputError for what is no name."""
    from argosy.config.values import check_fleet_name

    try:
        return Home(environment.home).fleet(check_fleet_name(name))
    except ValueError as error:
        raise InputError(f"--fleet: {error}") from None


def running_fleets(environment: Environment) -> list[FleetFolder]:
    from argosy.fleet.observer import runs

    return [folder for folder in Home(environment.home).fleets() if runs(folder)]


def running_fleet(environment: Environment, name: str | None) -> FleetFolder:
    """The fleet that is meant: the named one, else the only one that runs; of those that are for one command alone
    (`argosy chat --source`) only where there is no other. Raises NotRunningError, InputError.
    """
    running = running_fleets(environment)
    if name is not None:
        folder = fleet_folder(environment, name)
        if folder in running:
            return folder
        others = f"; these run: {_names(running)}" if running else ""
        raise NotRunningError(f"fleet {name!r} does not run{others}. `argosy up` starts one.")
    if not running:
        raise NotRunningError("no fleet runs. `argosy up` starts one.")
    running = [folder for folder in running if not folder.owner.exists()] or running
    if len(running) > 1:
        raise InputError(f"more than one fleet runs: {_names(running)}. Say which with --fleet.")
    return running[0]


def admin_key(folder: FleetFolder, environment: Environment) -> str | None:
    """The fleet's own; where a gateway was started alone with a key of the environment, that one."""
    return folder.secret("admin_key") or environment.admin_key


def gateway_client(folder: FleetFolder, environment: Environment, client: Client) -> GatewayClient:
    """Raises NotRunningError when the fleet's gateway does not run."""
    from argosy.fleet.gateway_client import GatewayClient
    from argosy.fleet.observer import gateway_of

    record, key = gateway_of(folder), admin_key(folder, environment)
    if record is None or record.address is None or key is None:
        raise NotRunningError(f"the gateway of fleet {folder.name} does not run (argosy ps)")
    return GatewayClient(client, address=record.address, admin_key=key)


@asynccontextmanager
async def controller_client(folder: FleetFolder, client: Client) -> AsyncIterator[ControllerClient]:
    """Raises NotRunningError when the fleet's controller does not run."""
    from argosy.errors import UpstreamError
    from argosy.fleet.client import ControllerClient
    from argosy.fleet.observer import controller_of

    record = controller_of(folder)
    key = folder.secret("admin_key")
    gone = f"the controller of fleet {folder.name} does not run. What runs keeps running; `argosy up` adopts it."
    if record is None or record.address is None or key is None:
        raise NotRunningError(gone)
    try:
        yield ControllerClient(client, address=record.address, admin_key=key)
    except UpstreamError as error:
        if record.identity.alive:
            raise NotRunningError(f"the controller of fleet {folder.name} does not answer: {error}") from error
        raise NotRunningError(gone) from error


async def report_of(folder: FleetFolder, environment: Environment, client: Client) -> FleetReport:
    """By the fleet's controller; what can be seen without it where none answers."""
    from argosy.fleet.observer import observed_report

    try:
        async with controller_client(folder, client) as controller:
            return await controller.report()
    except NotRunningError:
        return await observed_report(folder, client, admin_key=admin_key(folder, environment))


def _names(folders: list[FleetFolder]) -> str:
    return ", ".join(folder.name for folder in folders)
