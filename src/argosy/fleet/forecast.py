"""What `argosy up` would do with a fleet: what sits where, what has no place, what is started or stopped. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from argosy.config.schema import Budget, Fleet
from argosy.engines.memory import gib
from argosy.fleet.launcher import LaunchedReplica, NodeInfo
from argosy.fleet.placement import Place, Placement
from argosy.fleet.rooms import open_rooms
from argosy.protocol.plan import (
    FleetPlan,
    PlannedChanges,
    PlannedDevice,
    PlannedNode,
    PlannedReplica,
    Refusal,
    Share,
)
from argosy.protocol.replica import ReplicaSpec


def forecast(
    fleet: Fleet,
    nodes: Sequence[NodeInfo],
    placement: Placement,
    specs: Sequence[ReplicaSpec],
    launched: Mapping[str, LaunchedReplica],
) -> FleetPlan:
    """`specs`: what the planner makes of the placement."""
    alive = {replica: each for replica, each in launched.items() if each.alive}
    changes = {spec.id: _change(spec, alive.get(spec.id)) for spec in specs}
    return FleetPlan(
        fleet=fleet.name,
        possible=not placement.refused,
        simulated=any(node.simulated for node in nodes),
        nodes=_nodes(nodes, fleet.budget, placement, alive),
        replicas=[
            PlannedReplica(
                id=spec.id,
                node=placement.places[spec.id].node,
                devices=None if spec.devices is None else [each.index for each in spec.devices],
                change=changes[spec.id],
                why=placement.places[spec.id].why,
                needs=_needs(placement.places[spec.id]),
            )
            for spec in specs
        ],
        refused=[
            Refusal(replica=replica, reason=reason, runs=replica in alive)
            for replica, reason in placement.refused.items()
        ],
        changes=PlannedChanges(
            **{kind: [replica for replica, change in changes.items() if change == kind] for kind in _KINDS},
            stop=[replica for replica in alive if replica not in changes and replica not in placement.refused],
        ),
        notes=_notes(nodes, placement, specs),
    )


_KINDS = ("start", "keep", "restart")


def _notes(nodes: Sequence[NodeInfo], placement: Placement, specs: Sequence[ReplicaSpec]) -> list[str]:
    """One for each GPU, and for each deployment, that could not be reckoned with whole."""
    split = [(node.name, each) for node in nodes for each in node.devices if each.mig]
    found = {
        f"{node} {each.index}": f"{each.label} of {node} is split by MIG and not planned with" for node, each in split
    }
    for spec in specs:
        need = placement.places[spec.id].need
        if need is not None and need.unknown:
            found[spec.deployment.name] = f"the cache of {spec.deployment.name} is not counted: {need.unknown}"
    return list(found.values())


def _needs(place: Place) -> str:
    if place.need is None:
        return ""
    if place.devices:
        return place.need.gpu_parts(len(place.devices))
    more = place.need.beyond_bytes
    return f"{place.need.parts}, {gib(more)} more that its last load held" if more else place.need.parts


def _change(spec: ReplicaSpec, runs: LaunchedReplica | None) -> str:
    if runs is None:
        return "start"
    return "keep" if runs.spec.generation == spec.generation else "restart"


def _nodes(
    nodes: Sequence[NodeInfo], budget: Budget, placement: Placement, alive: Mapping[str, LaunchedReplica]
) -> list[PlannedNode]:
    running = [(each.spec.node or "", each.spec.devices or ()) for each in alive.values()]
    rooms = open_rooms(nodes, budget, [(nodes[0].name if len(nodes) == 1 else node, given) for node, given in running])
    on_gpu: dict[tuple[str, int], list[Share]] = {}
    on_cpu: dict[str, list[Share]] = {}
    for replica, place in placement.places.items():
        for device in place.devices or ():
            share = Share(replica=replica, memory_bytes=device.budget_bytes)
            on_gpu.setdefault((place.node, device.index), []).append(share)
        if not place.devices:
            on_cpu.setdefault(place.node, []).append(Share(replica=replica, memory_bytes=place.memory_bytes))
    found = []
    for node in nodes:
        devices = []
        for room in rooms[node.name].gpus:
            shares = on_gpu.get((node.name, room.index), [])
            devices.append(
                PlannedDevice(
                    index=room.index,
                    uuid=room.device.uuid,
                    name=room.device.name,
                    memory_bytes=room.size_bytes,
                    limit_bytes=room.limit_bytes,
                    others_bytes=room.others_bytes,
                    planned_bytes=sum(share.memory_bytes for share in shares),
                    replicas=shares,
                )
            )
        shares = on_cpu.get(node.name, [])
        found.append(
            PlannedNode(
                name=node.name,
                cores=node.cores,
                memory_bytes=node.memory_bytes,
                planned_bytes=sum(share.memory_bytes for share in shares),
                replicas=shares,
                devices=devices,
                why_no_gpu=node.why_no_gpu,
            )
        )
    return found
