"""`argosy pull`, `models` and `rm`, as they are typed, against a hub on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from asker import wait_for_bytes
from hub import Hub, Repository

from argosy.processes.identity import ProcessIdentity
from argosy.state import DesiredState, Home, ProcessRecord, write_json
from command import Argosy

WEIGHTS = bytes(range(256)) * 8000
REPOSITORIES = {"org/gguf": Repository({"m-Q4_K_M.gguf": WEIGHTS})}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(REPOSITORIES) as hub:
        yield hub


@pytest.fixture
def argosy(argosy: Argosy, hub: Hub, tmp_path: Path) -> Argosy:
    argosy.variables = {"HF_ENDPOINT": hub.url, "MODELSCOPE_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
    return argosy


@contextmanager
def fleet_that_uses(argosy: Argosy, source: str) -> Iterator[None]:
    """One that runs, as far as its folder tells: a process stands for its gateway until the test is over."""
    folder = Home(argosy.home).fleet("demo")
    stands_for_it = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        write_json(folder.gateway, ProcessRecord(identity=ProcessIdentity.of(stands_for_it.pid)))
        write_json(folder.desired, DesiredState(fleet={"deployments": {"mine": {"source": source}}}, revision=1))
        yield
    finally:
        stands_for_it.communicate()


def test_what_is_pulled_is_listed_and_removed(argosy: Argosy, hub: Hub) -> None:
    pulled = argosy.run("pull", "hf:org/gguf", "hf:org/gguf").stdout.split()
    assert pulled[0] == "hf:org/gguf"
    assert Path(pulled[1]).read_bytes() == WEIGHTS
    [entry] = json.loads(argosy.run("models", "--json").stdout)["cache"]
    assert (entry["source"], entry["size_bytes"], entry["whole"]) == ("hf:org/gguf", len(WEIGHTS), True)
    shown = argosy.run("models").stdout
    assert "gguf  2 MB  now" in shown
    assert "hf, modelscope, pypi          Qwen2.5-Coder-0.5B-Instruct" in shown
    assert argosy.run("rm", "gguf").stdout == "gguf: 2 MB are free again\n"
    assert "is empty; `argosy pull NAME` fetches one" in argosy.run("models").stdout
    assert "gguf is not in" in argosy.run("rm", "gguf", code=2).stderr


def test_one_source_that_cannot_be_had_does_not_keep_the_others_away(argosy: Argosy) -> None:
    done = argosy.run("pull", "hf:org/none", "hf:org/gguf", code=2)
    assert "argosy: hf:org/none: 127.0.0.1:" in done.stderr
    assert done.stdout.startswith("hf:org/gguf  /")


def test_a_malformed_source_is_told_before_anything_is_fetched(argosy: Argosy, hub: Hub) -> None:
    assert "'smolm2' is no file and no catalog name" in argosy.run("pull", "hf:org/gguf", "smolm2", code=2).stderr
    assert hub.asked == []


def test_a_damaged_file_is_pulled_again(argosy: Argosy, hub: Hub) -> None:
    path = Path(argosy.run("pull", "hf:org/gguf").stdout.split()[1])
    asked = len(hub.asked)
    argosy.run("pull", "hf:org/gguf")
    assert len(hub.asked) == asked
    path.write_bytes(bytes(len(WEIGHTS)))
    argosy.run("pull", "hf:org/gguf")
    assert path.read_bytes() == WEIGHTS


def test_what_a_running_fleet_uses_is_not_removed(argosy: Argosy) -> None:
    argosy.run("pull", "hf:org/gguf")
    with fleet_that_uses(argosy, "hf:org/gguf"):
        assert "gguf is used by demo/mine; stop that one first" in argosy.run("rm", "gguf", code=2).stderr
        assert json.loads(argosy.run("models", "--json").stdout)["cache"][0]["used_by"] == ["demo/mine"]
        argosy.run("rm", "hf:org/gguf", "--force")
    assert json.loads(argosy.run("models", "--json").stdout)["cache"] == []


def test_a_source_that_cannot_be_had_fails_the_replica_at_once(argosy: Argosy) -> None:
    argosy.file("deployments: {a: {source: 'hf:org/none', options: {context: 512}}}\ngateway: {port: 0}")
    said = argosy.run("up", "-d", "fleet.yaml", code=1)
    assert "has no model org/none: check the spelling" in said.stdout + said.stderr
    [replica] = argosy.replicas().values()
    assert (replica["state"], replica["restarts"]) == ("failed", 0)
    argosy.run("down")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=68m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root, who may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_model_that_does_not_fit_is_told_before_it_is_fetched(argosy: Argosy, hub: Hub, small_disk: Path) -> None:
    hub.repositories["org/large"] = Repository({"m.gguf": bytes(9_000_000)})
    argosy.variables = {**argosy.variables, "ARGOSY_CACHE": str(small_disk)}
    said = argosy.run("pull", "hf:org/large", code=2).stderr
    assert "MB are free; make room (`argosy models` shows what lies there) or set ARGOSY_CACHE" in said
    assert not any("/resolve/" in line for line in hub.asked)


def test_a_cache_that_is_only_read_still_serves_what_it_has(argosy: Argosy, small_disk: Path) -> None:
    argosy.variables = {**argosy.variables, "ARGOSY_CACHE": str(small_disk)}
    pulled = argosy.run("pull", "hf:org/gguf").stdout
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert argosy.run("pull", "hf:org/gguf").stdout == pulled
    said = argosy.run("pull", "modelscope:org/gguf", code=2).stderr
    assert f"cannot keep gguf in {small_disk}/models: Read-only file system; make that folder writable or set" in said
    assert "Read-only file system" in argosy.run("rm", "gguf", code=1).stderr


@pytest.mark.parametrize("form", ["hf:org/gguf", "modelscope:org/gguf", "{url}/files/m.gguf"])
def test_a_disk_that_fills_in_the_middle_is_told_and_nothing_is_kept(
    form: str, argosy: Argosy, hub: Hub, small_disk: Path
) -> None:
    hub.web["/files/m.gguf"] = bytes(2_000_000)
    hub.halfway.clear()
    hub.go_on.clear()
    argosy.variables = {**argosy.variables, "ARGOSY_CACHE": str(small_disk)}
    with argosy.attached("pull", form.format(url=hub.url)) as pulling:
        assert hub.halfway.wait(30)
        wait_for_bytes(small_disk)  # by then it has looked whether there is room
        with (small_disk / "others").open("wb", buffering=0) as others:
            try:
                while True:
                    others.write(bytes(1 << 16))
            except OSError:
                pass
        hub.go_on.set()
        assert pulling.wait(30) == 2
    assert "is full; nothing was kept. Make room (`argosy models` shows" in argosy.output("pull")
    assert [path.name for path in small_disk.rglob("*m*.gguf*")] == []


def test_ctrl_c_ends_a_pull_with_a_line_and_the_next_one_goes_on(argosy: Argosy, hub: Hub) -> None:
    with Hub(REPOSITORIES, stalling=True) as slow:
        argosy.variables = {**argosy.variables, "HF_ENDPOINT": slow.url}
        with argosy.attached("pull", "hf:org/gguf") as pull:
            wait_for_bytes(argosy.home.parent / "cache")
            os.killpg(pull.pid, signal.SIGINT)  # as a terminal does
            assert pull.wait(20) == 130
    assert argosy.output("pull") == "argosy: hf:org/gguf: broken off; `argosy pull` goes on from there\n"
    argosy.variables = {**argosy.variables, "HF_ENDPOINT": hub.url}
    assert Path(argosy.run("pull", "hf:org/gguf").stdout.split()[1]).read_bytes() == WEIGHTS
    assert 0 < sum(hub.sent.values()) < len(WEIGHTS)
