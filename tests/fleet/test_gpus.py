"""Simulated GPUs, real processes: every engine sees the GPUs that it was given, as its environment in /proc says."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from command import Argosy
from waiting import until

DEVICES = "\n".join(
    ["cores: 16", "memory: 128GiB", "devices:"]
    + [f"  - {{index: {index}, name: A100, uuid: GPU-{index}, memory: 80GiB}}" for index in range(8)]
)
FLEET = """
gateway: {port: 0}
grace: 1
deployments:
  pinned: {engine: echo, gpus: [[2], [3]], memory_fraction: 0.5}
  tp: {engine: echo, tensor_parallel: 2, gpus: [[0, 1], [5, 4]], memory_fraction: 0.9}
  cpu: {engine: echo, device: cpu}
  oversold: {engine: echo, gpus: [2], memory_fraction: 0.6}
"""


@pytest.fixture
def big(argosy: Argosy) -> Argosy:
    """On a machine that has eight GPUs, as a file tells."""
    file = argosy.folder / "devices.yaml"
    file.write_text(DEVICES)
    return dataclasses.replace(argosy, variables={**argosy.variables, "ARGOSY_DEVICES": str(file)})


def variables(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    found = dict(entry.partition("=")[::2] for entry in entries if "=" in entry)
    return {name: value for name, value in found.items() if name.endswith("_VISIBLE_DEVICES") or "CUDA" in name}


def planned(argosy: Argosy, *words: str, code: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(argosy.run("plan", *words, "--json", code=code).stdout)
    return found


def test_engines_see_the_gpus_that_the_plan_gave_them_and_the_oversold_one_is_refused(big: Argosy) -> None:
    big.file(FLEET)
    plan = planned(big, "fleet.yaml", code=1)
    assert plan["changes"]["start"] == ["pinned.0", "pinned.1", "tp.0", "tp.1", "cpu.0"]
    [refused] = plan["refused"]
    assert refused["replica"] == "oversold.0"
    assert "beside pinned.0 40.0" in refused["reason"]
    shown = big.run("up", "-d", "fleet.yaml", code=1).stdout
    assert "plan (simulated):" in shown
    assert "tp.1 → gpu5, gpu4" in shown
    assert "no place: oversold.0 is pinned to gpu2" in shown
    replicas = big.replicas()
    seen = {name: variables(each["engine_pid"]) for name, each in replicas.items() if each["engine_pid"]}
    visible = {name: each.get("CUDA_VISIBLE_DEVICES") for name, each in seen.items()}
    assert visible == {
        "pinned.0": "2",
        "pinned.1": "3",
        "tp.0": "0,1",
        "tp.1": "5,4",
        "cpu.0": "-1",
    }
    assert seen["tp.1"]["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert replicas["tp.1"]["devices"] == ["gpu5 (simulated)", "gpu4 (simulated)"]
    assert replicas["oversold.0"]["state"] == "failed"
    assert replicas["oversold.0"]["reason"] == refused["reason"]

    told = json.loads(big.run("devices", "--json").stdout)
    assert told["simulated"]
    assert [share["replica"] for share in told["devices"][2]["replicas"]] == ["pinned.0"]
    [machine] = big.ask("/argosy/v1/fleet/machines")  # what the page draws
    assert [each["replicas"] for each in machine["devices"]] == [each["replicas"] for each in told["devices"]]

    # One moves, two change places, which must not wait for each other; nobody else is touched.
    big.file(FLEET.replace("[[2], [3]]", "[[6], [3]]").replace("[[0, 1], [5, 4]]", "[[5, 4], [0, 1]]"))
    assert planned(big, "fleet.yaml", code=0)["changes"]["restart"] == ["pinned.0", "tp.0", "tp.1"]
    big.run("up", "-d", "fleet.yaml")
    moved = big.replicas()
    visible = {name: variables(each["engine_pid"]).get("CUDA_VISIBLE_DEVICES") for name, each in moved.items()}
    places = [visible[name] for name in ("pinned.0", "pinned.1", "tp.0", "tp.1", "oversold.0")]
    assert places == ["6", "3", "5,4", "0,1", "2"]
    for name in ("pinned.1", "cpu.0"):
        assert moved[name]["engine_pid"] == replicas[name]["engine_pid"]
    big.run("down")


def test_a_worker_started_by_hand_sees_the_gpus_it_was_told(big: Argosy) -> None:
    big.file("gateway: {port: 0}\nname: fleet\ndeployments: {a: {engine: echo}}")
    big.run("up", "-d", "fleet.yaml")
    address = big.ps()["gateways"][0]["address"]
    words = ("worker", "--engine", "echo", "--name", "hand", "--join", address)
    with big.attached(*words, "--gpus", "2,3") as worker:

        def joined() -> dict[str, Any] | None:
            return next((each for name, each in big.replicas_now().items() if name.startswith("hand.")), None)

        found = until(lambda: each if (each := joined()) and each["state"] == "ready" else None, seconds=20)
        assert variables(found["engine_pid"])["CUDA_VISIBLE_DEVICES"] == "2,3"
        assert found["devices"] == ["gpu2 (simulated)", "gpu3 (simulated)"]
        worker.terminate()
        worker.wait(20)
    refused = big.run(*words, "--gpus", "9", code=2)
    assert "is pinned to gpu9, and there is none" in refused.stderr
    big.run("down")


def test_without_a_gpu_devices_says_why_in_one_line(argosy: Argosy) -> None:
    done = argosy.run("devices")
    assert len(done.stdout.splitlines()) >= 2
    assert "Traceback" not in done.stdout + done.stderr
    told = json.loads(argosy.run("devices", "--json").stdout)
    assert told["devices"] or told["why_no_gpu"]


def test_a_file_of_devices_with_faults_is_refused_with_all_of_them(argosy: Argosy) -> None:
    (argosy.folder / "devices.yaml").write_text("devices: [{index: -1, memory: lots}, {indx: 2}]")
    broken = dataclasses.replace(argosy, variables={"ARGOSY_DEVICES": str(argosy.folder / "devices.yaml")})
    said = broken.run("devices", code=2).stderr
    assert "devices.0.index: must be at least 0, got -1" in said
    assert "devices.0.memory: 'lots' is no size: write one such as 80GiB or 512MiB" in said
    assert "devices.1.indx: unknown; did you mean index?" in said
