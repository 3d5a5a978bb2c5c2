"""What the machines of a fleet have, now: memory, and GPUs with what was given out of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from argosy.devices.inventory import Inventory
from argosy.fleet.claims import Claim
from argosy.protocol.admin import DeviceReport, MachineReport


def machine_report(seen: Inventory, given: Iterable[Claim]) -> MachineReport:
    """`given`: to replicas of any fleet of this home."""
    given_bytes: Counter[int] = Counter()
    for claim in given:
        given_bytes[claim.device.index] += claim.device.budget_bytes
    return MachineReport(
        name=seen.node,
        memory_bytes=seen.memory_bytes,
        available_bytes=seen.free_bytes,
        simulated=seen.simulated,
        devices=[
            DeviceReport(
                label=device.label,
                name=device.name,
                memory_bytes=device.memory_bytes,
                used_bytes=device.used_bytes,
                given_bytes=given_bytes[device.index],
            )
            for device in seen.devices
        ],
    )
