from argosy.devices.device import Device
from argosy.devices.inventory import Inventory
from argosy.fleet.claims import Claim
from argosy.fleet.machines import machine_report
from argosy.protocol.replica import AssignedDevice

GIB = 2**30


def test_a_gpu_tells_what_was_given_out_of_it_to_all_fleets() -> None:
    gpus = tuple(
        Device(index=index, uuid=f"GPU-{index}", name="A100", memory_bytes=80 * GIB, used_bytes=index * GIB)
        for index in range(2)
    )
    seen = Inventory(node="box", cores=8, memory_bytes=64 * GIB, free_bytes=32 * GIB, devices=gpus, simulated=True)
    given = [
        Claim(fleet, replica, AssignedDevice(index=1, uuid="GPU-1", memory_bytes=80 * GIB, budget_bytes=gib * GIB))
        for fleet, replica, gib in (("one", "a.0", 10), ("other", "b.0", 20))
    ]
    report = machine_report(seen, given)
    assert (report.name, report.memory_bytes, report.available_bytes, report.simulated) == (
        "box",
        64 * GIB,
        32 * GIB,
        True,
    )
    assert [(each.label, each.used_bytes, each.given_bytes) for each in report.devices] == [
        ("gpu0", 0, 0),
        ("gpu1", GIB, 30 * GIB),
    ]
