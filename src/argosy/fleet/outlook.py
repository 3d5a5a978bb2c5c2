"""What can be said of GPUs without a controller: the plan of a fleet, a place for one replica, who has what now.

Puts together the machine's devices, the engines' needs and the files of fleets; decides nothing itself.
"""

from __future__ import annotations

from argosy.config.environment import Environment
from argosy.config.needs import Needs
from argosy.config.schema import Budget, Deployment, Fleet
from argosy.devices.inventory import Machine
from argosy.errors import InputError
from argosy.fleet.claims import claimed_by_others
from argosy.fleet.forecast import forecast
from argosy.fleet.launcher import NodeInfo
from argosy.fleet.local import LocalLauncher
from argosy.fleet.observer import desired_of
from argosy.fleet.placement import place
from argosy.fleet.planner import placement_of, plan
from argosy.fleet.tenants import tenants
from argosy.fleet.wishes import wishes
from argosy.protocol.plan import DevicesReport, FleetPlan
from argosy.protocol.replica import AssignedDevice
from argosy.state import FleetFolder, Home


async def forecast_of(fleet: Fleet, folder: FleetFolder, environment: Environment) -> FleetPlan:
    """What `argosy up` would do with it now. Raises InputError."""
    launcher = LocalLauncher(folder, machine=_machine(environment))
    try:
        launched, nodes = {each.id: each for each in await launcher.list()}, await launcher.nodes()
    finally:
        await launcher.close()
    before = desired_of(folder)
    restarts = before.restarts if before is not None else {}
    needs = Needs(environment.cache, folder.footprints).of_fleet(fleet, any(node.devices for node in nodes))
    placement = placement_of(fleet, (), launched, nodes=nodes, needs=needs, restarts=restarts)
    current = {each.id: each.spec for each in launched.values()}
    specs = plan(fleet, (), current, placement=placement, gateways=[], revision=0, restarts=restarts)
    return forecast(fleet, nodes, placement, specs, launched)


def place_by_hand(
    replica: str, name: str, deployment: Deployment, environment: Environment
) -> tuple[AssignedDevice, ...] | None:
    """GPUs for a replica that no controller plans. Raises InputError where it has no place."""
    folder = Home(environment.home).fleet("joined")  # of nobody's: all fleets are others
    seen = _machine(environment).look()
    needs = Needs(environment.cache, folder.footprints).of(name, deployment, gpus=bool(seen.devices))
    asked = list(wishes(name, deployment, {replica: 0}, needs, {}))
    placement = place(asked, [NodeInfo.of(seen, claimed_by_others(folder))], Budget())
    if replica in placement.refused:
        raise InputError(f"this machine has no place for it: {placement.refused[replica]}")
    return placement.places[replica].devices


def devices_report(environment: Environment) -> DevicesReport:
    """What this machine has for replicas, and who uses it. Raises InputError."""
    return tenants(_machine(environment).look(), Home(environment.home).fleets())


def _machine(environment: Environment) -> Machine:
    return Machine.of(environment.devices, environment.variables)
