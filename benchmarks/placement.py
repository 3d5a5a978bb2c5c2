"""How long the plan of a large fleet takes: 1,000 replicas on 100 nodes of 8 GPUs, from nothing and after a change.

python benchmarks/placement.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from argosy.config.needs import EngineNeeds
from argosy.config.schema import Fleet
from argosy.devices.device import Device
from argosy.engines.memory import MemoryNeed
from argosy.fleet.launcher import LaunchedReplica, NodeInfo
from argosy.fleet.planner import placement_of, plan

GIB = 1024**3
NODES, GPUS, REPLICAS = 100, 8, 1000
ROUNDS = 5


def nodes() -> list[NodeInfo]:
    return [
        NodeInfo(
            f"node{number:03}",
            cores=64,
            memory_bytes=512 * GIB,
            devices=tuple(
                Device(index=index, uuid=f"GPU-{number}-{index}", name="A100", memory_bytes=80 * GIB)
                for index in range(GPUS)
            ),
        )
        for number in range(NODES)
    ]


def fleet(deployments: int) -> tuple[Fleet, dict[str, EngineNeeds]]:
    """Models from 3 to 120 GiB: some share a GPU, some take two together."""
    each = REPLICAS // deployments
    names = [f"model-{number:04}" for number in range(deployments)]
    sizes = [(3, 7, 16, 26, 40, 64, 120)[number % 7] for number in range(deployments)]
    return (
        Fleet.model_validate(
            {"deployments": {name: {"engine": "echo", "replicas": each, "gpus": "auto"} for name in names}}
        ),
        {
            name: EngineNeeds(MemoryNeed(name, size * GIB // 2, 1 << 17, 8192, 4), uses_gpu=True)
            for name, size in zip(names, sizes, strict=True)
        },
    )


def measure(deployments: int) -> tuple[float, float, int]:
    """Seconds from nothing, seconds with all but one deployment running, replicas that have a place."""
    wanted, needs = fleet(deployments)
    machines = nodes()
    fresh, again = [], []
    placed = 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        placement = placement_of(wanted, (), {}, nodes=machines, needs=needs)
        fresh.append(time.perf_counter() - began)
        placed = len(placement.places)
        specs = plan(wanted, (), {}, placement=placement, gateways=[], revision=1)
        gone = specs[0].deployment.name
        running = {spec.id: LaunchedReplica(spec=spec, alive=True) for spec in specs if spec.deployment.name != gone}
        began = time.perf_counter()
        placement_of(wanted, (), running, nodes=machines, needs=needs)
        again.append(time.perf_counter() - began)
    return statistics.median(fresh), statistics.median(again), placed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    given = parser.parse_args()
    figures = {}
    for deployments in (10, 100, 1000):
        fresh, again, placed = measure(deployments)
        figures[deployments] = {"fresh_seconds": fresh, "again_seconds": again, "placed": placed}
        print(
            f"{deployments} deployments, {REPLICAS} replicas, {NODES * GPUS} GPUs on {NODES} nodes: {placed} placed in "
            f"{fresh:.2f} s from nothing, {again:.2f} s when one deployment is new"
        )
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
