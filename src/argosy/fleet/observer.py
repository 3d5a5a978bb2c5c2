"""A fleet seen from outside, by its folder: what runs, also when no controller is left to ask. Changes nothing."""

from __future__ import annotations

import msgspec
from pydantic import ValidationError

from argosy.config.schema import Fleet
from argosy.errors import ArgosyError, InputError
from argosy.fleet.desired import Desired
from argosy.fleet.gateway_client import GatewayClient
from argosy.fleet.launcher import LaunchedReplica
from argosy.fleet.local import LocalLauncher
from argosy.fleet.planner import planned_id
from argosy.fleet.report import Absence, fleet_report
from argosy.fleet.shutdown import fastchat_of, gateways_of
from argosy.processes.identity import ProcessIdentity
from argosy.protocol.admin import FleetReport, ProcessReport, ReplicaView
from argosy.protocol.replica import ReplicaState
from argosy.state import DesiredState, FleetFolder, ProcessRecord, read_json
from argosy.wire.client import Client

_ORPHANED = "its worker is gone, and no controller runs to start another (`argosy up` does)"


def controller_of(folder: FleetFolder) -> ProcessRecord | None:
    """The fleet's controller, when it lives."""
    record = read_json(folder.controller, ProcessRecord)
    return record if record is not None and record.identity.alive else None


def gateway_of(folder: FleetFolder) -> ProcessRecord | None:
    """The fleet's gateway, when it lives."""
    record = read_json(folder.gateway, ProcessRecord)
    return record if record is not None and record.identity.alive else None


def desired_of(folder: FleetFolder) -> Desired | None:
    """What was asked for last; None when nothing is asked for. Raises InputError."""
    state = read_json(folder.desired, DesiredState)
    return None if state is None else _read(state, folder)


def is_wanted(folder: FleetFolder) -> bool:
    """Whether a controller keeps this fleet, or did until it died; else its gateway runs alone."""
    return folder.desired.exists()


def grace_of(folder: FleetFolder) -> float:
    """Seconds that what runs gets to finish, as the fleet was asked for, or the default. Raises InputError."""
    desired = desired_of(folder)
    return (desired.fleet if desired is not None else Fleet()).grace


def fleet_of(desired: DesiredState, folder: FleetFolder) -> Fleet:
    """Raises InputError for a state that another version of Argosy wrote and this one cannot read."""
    return _read(desired, folder).fleet


def _read(state: DesiredState, folder: FleetFolder) -> Desired:
    try:
        return Desired.of(state)
    except ValidationError as error:
        raise InputError(
            f"{folder.desired} is not of this version of Argosy ({error.error_count()} fault(s)): take the fleet down"
            " with the version that brought it up, or remove the file"
        ) from None


def runs(folder: FleetFolder) -> bool:
    """Whether anything of the fleet lives: controller, gateway or a worker."""
    return bool(controller_of(folder) or gateways_of(folder) or fastchat_of(folder) or _workers(folder))


async def observed_report(folder: FleetFolder, client: Client, *, admin_key: str | None) -> FleetReport:
    """From files alone, plus what the gateway says when it answers."""
    desired = desired_of(folder) or Desired(Fleet(name=folder.name), 0)
    launcher = LocalLauncher(folder)
    try:
        launched = {each.id: each for each in await launcher.list()}
    finally:
        await launcher.close()
    return fleet_report(
        folder.name,
        desired.fleet,
        desired.stopped,
        drained=desired.drained,
        launched=launched,
        absences={replica: _absence(found) for replica, found in launched.items()},
        gateways=[_gateway(folder)],
        controller=_controller(folder),
        views=await _views(folder, client, admin_key),
    )


def _absence(found: LaunchedReplica) -> Absence:
    if found.alive:
        return Absence()
    said_so = found.status is not None and found.says(ReplicaState.FAILED)
    return Absence(ReplicaState.FAILED, found.status.reason if said_so and found.status else _ORPHANED)


def _gateway(folder: FleetFolder) -> ProcessReport:
    record = gateway_of(folder)
    if record is None:
        return ProcessReport(state="gone")
    return ProcessReport(
        state="running", pid=record.identity.pid, address=record.address, since=record.identity.started
    )


def _controller(folder: FleetFolder) -> ProcessReport:
    record = controller_of(folder)
    if record is None and not is_wanted(folder):  # a controller writes down what is wanted before anything else
        return ProcessReport(state="none", reason="a gateway alone")
    if record is None:
        return ProcessReport(state="gone", reason="what runs keeps running; `argosy up` adopts it")
    return ProcessReport(
        state="running", pid=record.identity.pid, address=record.address, since=record.identity.started
    )


async def _views(folder: FleetFolder, client: Client, admin_key: str | None) -> list[ReplicaView]:
    address = _gateway(folder).address
    if address is None or admin_key is None:
        return []
    try:
        return await GatewayClient(client, address=address, admin_key=admin_key).replicas()
    except (ArgosyError, msgspec.DecodeError):
        return []


def _workers(folder: FleetFolder) -> list[ProcessIdentity]:
    records = [
        read_json(folder.replica(replica).process, ProcessRecord) for replica in filter(planned_id, folder.replicas())
    ]
    return [record.identity for record in records if record is not None and record.identity.alive]
