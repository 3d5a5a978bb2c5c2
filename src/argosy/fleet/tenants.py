"""This machine's GPUs beside the replicas that were given some: who holds what, for `argosy devices` and the page.

Reads only.
"""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from argosy.devices.inventory import Inventory
from argosy.fleet.claims import claims
from argosy.protocol.plan import DeviceProcessReport, DeviceReport, DevicesReport, MigInstanceReport, Share
from argosy.state import FleetFolder, ProcessRecord, read_json


def tenants(inventory: Inventory, folders: Iterable[FleetFolder]) -> DevicesReport:
    """`folders`: of the fleets of this home."""
    there = list(folders)
    given: dict[int, list[Share]] = {}
    for claim in claims(there):
        share = Share(replica=claim.replica, memory_bytes=claim.device.budget_bytes, fleet=claim.fleet)
        given.setdefault(claim.device.index, []).append(share)
    owners = _owners(there) if any(device.processes for device in inventory.devices) else {}
    return DevicesReport(
        node=inventory.node,
        cores=inventory.cores,
        memory_bytes=inventory.memory_bytes,
        free_bytes=inventory.free_bytes,
        simulated=inventory.simulated,
        why_no_gpu=inventory.why_no_gpu,
        devices=[
            DeviceReport(
                index=device.index,
                uuid=device.uuid,
                name=device.name,
                memory_bytes=device.memory_bytes,
                free_bytes=max(0, device.memory_bytes - device.used_bytes),
                replicas=given.get(device.index, []),
                processes=[
                    DeviceProcessReport(
                        pid=each.pid,
                        memory_bytes=each.memory_bytes,
                        name=_name(each.pid),
                        replica=owners.get(each.pid, ""),
                    )
                    for each in device.processes
                ],
                mig=device.mig,
                instances=[MigInstanceReport(uuid=each.uuid, name=each.name) for each in device.instances],
            )
            for device in inventory.devices
        ],
    )


def _owners(folders: Iterable[FleetFolder]) -> dict[int, str]:
    """Process → the replica whose worker it descends from."""
    found: dict[int, str] = {}
    for folder in folders:
        for replica in folder.replicas():
            record = read_json(folder.replica(replica).process, ProcessRecord)
            worker = record.identity.process() if record is not None else None
            if worker is None:
                continue
            try:
                found |= {child.pid: replica for child in worker.children(recursive=True)}
            except psutil.Error:
                continue  # it has just ended
    return found


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return ""  # of another container, or gone
