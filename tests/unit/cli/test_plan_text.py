from __future__ import annotations

import msgspec

from argosy.cli.plan_text import devices_text, plan_text, short_plan_text
from argosy.protocol.plan import (
    DeviceProcessReport,
    DeviceReport,
    DevicesReport,
    FleetPlan,
    MigInstanceReport,
    PlannedChanges,
    PlannedDevice,
    PlannedNode,
    PlannedReplica,
    Refusal,
    Share,
)

GIB = 1024**3


def plan(*, refused: bool = False) -> FleetPlan:
    device = PlannedDevice(
        index=0,
        uuid="GPU-0",
        name="A100",
        memory_bytes=80 * GIB,
        limit_bytes=76 * GIB,
        others_bytes=19 * GIB,
        planned_bytes=38 * GIB,
        replicas=[Share(replica="a.0", memory_bytes=38 * GIB)],
    )
    return FleetPlan(
        fleet="f",
        possible=not refused,
        simulated=False,
        nodes=[PlannedNode(name="n", cores=8, memory_bytes=64 * GIB, devices=[device])],
        replicas=[PlannedReplica(id="a.0", node="n", devices=[0], change="start", why="pinned")],
        refused=[Refusal(replica="b.0", reason="b.0 wants more", runs=True)] if refused else [],
        changes=PlannedChanges(start=["a.0"], stop=["c.0"]),
    )


def test_a_plan_shows_bars_and_what_up_would_do() -> None:
    assert plan_text(plan()).splitlines() == [
        "fleet f: 1 replica placed",
        "",
        "node n: 8 cores, 64.0 GiB of memory",
        "  gpu0  A100  [##########xxxxx.....]  38.0 GiB of 76.0 GiB  a.0 38.0 GiB; others 19.0 GiB",
        "",
        "up would start a.0; stop c.0",
    ]


def test_what_the_plan_could_not_reckon_with_is_noted() -> None:
    noted = msgspec.structs.replace(plan(), notes=["the cache of a is not counted: config.json has no head_dim"])
    assert plan_text(noted).splitlines()[-2] == "note: the cache of a is not counted: config.json has no head_dim"


def test_a_refusal_says_that_what_runs_stays() -> None:
    text = plan_text(plan(refused=True))
    assert text.startswith("fleet f: 1 replica placed, 1 without a place\n")
    assert "no place: b.0 wants more (it stays as it runs now)" in text


def test_up_tells_in_short_who_goes_to_which_gpu() -> None:
    assert short_plan_text(plan()) == "plan:\n  a.0 → gpu0"


def test_devices_show_strangers_and_replicas_apart() -> None:
    device = DeviceReport(
        index=0,
        uuid="GPU-0",
        name="A100",
        memory_bytes=80 * GIB,
        free_bytes=30 * GIB,
        replicas=[Share(replica="a.0", memory_bytes=38 * GIB, fleet="f")],
        processes=[
            DeviceProcessReport(pid=7, memory_bytes=37 * GIB, name="python", replica="a.0"),
            DeviceProcessReport(pid=9, memory_bytes=12 * GIB, name="train"),
        ],
    )
    report = DevicesReport(
        node="n",
        cores=1,
        memory_bytes=64 * GIB,
        free_bytes=GIB,
        simulated=False,
        why_no_gpu="",
        devices=[device],
    )
    text = devices_text(report)
    split = msgspec.structs.replace(
        device, index=1, mig=True, instances=[MigInstanceReport(uuid="MIG-a", name="A100 MIG 3g.40gb")]
    )
    both = devices_text(msgspec.structs.replace(report, devices=[device, split])).splitlines()
    assert both[-2].split()[:3] == ["gpu1", "A100", "(MIG)"]
    assert both[-1].split() == ["A100", "MIG", "3g.40gb", "MIG-a"]
    assert text.startswith("n: 1 core, 64.0 GiB of memory, 1.0 GiB free\n")
    assert "f/a.0 38.0 GiB" in text
    assert text.endswith("pid 9 train 12.0 GiB")
