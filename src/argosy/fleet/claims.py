"""What fleets of one home have given out of this machine's GPUs, by the files of the replicas that live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from argosy.fleet.planner import planned_id
from argosy.protocol.replica import AssignedDevice, ReplicaSpec
from argosy.state import FleetFolder, Home, ProcessRecord, read_json


@dataclass(frozen=True)
class Claim:
    """A GPU that a living replica was given."""

    fleet: str
    replica: str
    device: AssignedDevice


def claims(folders: Iterable[FleetFolder]) -> Iterator[Claim]:
    for folder in folders:
        for replica in folder.replicas():
            files = folder.replica(replica)
            spec = read_json(files.spec, ReplicaSpec)
            record = read_json(files.process, ProcessRecord) if spec is not None and spec.devices else None
            if spec is not None and record is not None and record.identity.alive:
                yield from (Claim(folder.name, replica, device) for device in spec.devices or ())


def claimed_by_others(folder: FleetFolder) -> Counter[int]:
    """GPU → bytes, of all that this fleet's controller did not plan: two must not plan with the same memory."""
    claimed: Counter[int] = Counter()
    for claim in claims(Home(folder.root.parent.parent).fleets()):
        if claim.fleet != folder.name or not planned_id(claim.replica):
            claimed[claim.device.index] += claim.device.budget_bytes
    return claimed
