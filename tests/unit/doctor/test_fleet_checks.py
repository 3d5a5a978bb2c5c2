from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from argosy.cli.doctor import page
from argosy.config.environment import Environment
from argosy.config.schema import Fleet, Gateway
from argosy.doctor.checkup import checkup
from argosy.doctor.finding import Finding
from argosy.doctor.fleets import files, leftovers, ports
from argosy.processes.identity import ProcessIdentity
from argosy.protocol.replica import ReplicaStatus
from argosy.state import DesiredState, FleetFolder, Home, ProcessRecord, write_json

DEAD = ProcessIdentity(1, 1.0)


@pytest.fixture
def folder(tmp_path: Path) -> FleetFolder:
    return FleetFolder(tmp_path / "fleets" / "demo")


def status(replica: str, worker_pid: int) -> ReplicaStatus:
    return ReplicaStatus(id=replica, generation=1, epoch=1, state="ready", since=1.0, worker_pid=worker_pid)


def test_an_engine_without_its_worker_is_told(folder: FleetFolder) -> None:
    write_json(folder.replica("a.0").process, ProcessRecord(identity=DEAD))
    write_json(folder.replica("a.0").engine, [DEAD, ProcessIdentity.own()])
    [found] = leftovers(folder)
    assert found.found == f"a.0 of fleet demo: process {os.getpid()} of its engine runs without a worker"
    assert f"kill {os.getpid()}" in found.cure


def test_an_engine_with_its_worker_is_no_leftover(folder: FleetFolder) -> None:
    write_json(folder.replica("a.0").process, ProcessRecord(identity=ProcessIdentity.own()))
    write_json(folder.replica("a.0").engine, [ProcessIdentity.own()])
    assert list(leftovers(folder)) == []


def test_records_of_a_fleet_that_was_killed_are_told_and_of_one_that_went_down_not(folder: FleetFolder) -> None:
    write_json(folder.root / "logs" / "controller.log", "")
    assert list(leftovers(folder)) == []
    write_json(folder.desired, DesiredState(fleet={}, revision=1))
    [found] = leftovers(folder)
    assert "ended without `argosy down`" in found.found


def test_a_worker_started_by_hand_that_was_killed_leaves_its_folder(folder: FleetFolder) -> None:
    write_json(folder.replica("mine.0a1b2c").status, status("mine.0a1b2c", 0))
    [found] = leftovers(folder)
    assert found.cure == f"rm -r {folder.replica('mine.0a1b2c').root}"
    write_json(folder.replica("mine.0a1b2c").status, status("mine.0a1b2c", os.getpid()))
    assert list(leftovers(folder)) == []


def test_a_secret_that_others_can_read_fails(folder: FleetFolder) -> None:
    folder.make_secret("admin_key")
    assert list(files(folder)) == []
    key = folder.root / "secrets" / "admin_key"
    key.chmod(0o644)
    folder.root.chmod(0o755)
    assert [(found.level, found.cure) for found in files(folder)] == [
        ("warn", f"chmod 700 {folder.root}"),
        ("fail", f"chmod 600 {key}"),
    ]


def test_a_key_file_of_the_users_that_others_can_read_is_told(folder: FleetFolder, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("sk-1")
    keys.chmod(0o640)
    write_json(folder.desired, DesiredState(fleet={"gateway": {"api_key_file": str(keys)}}, revision=1))
    assert [found.cure for found in files(folder)] == [f"chmod 600 {keys}"]


def test_every_folder_of_the_state_is_its_owners_alone(folder: FleetFolder) -> None:
    write_json(folder.replica("a.0").process, ProcessRecord(identity=DEAD))
    made = [folder.root.parent, folder.root, folder.root / "replicas", folder.replica("a.0").root]
    assert {oct(each.stat().st_mode & 0o777) for each in made} == {"0o700"}


def test_the_page_tells_each_finding_and_its_cure() -> None:
    assert page([Finding("home", "ok", "well"), Finding("engines", "fail", "broken", "mend it")]).splitlines() == [
        "ok    home     well",
        "fail  engines  broken",
        "               → mend it",
        "",
        "1 failed, 0 to look at",
    ]
    assert page([Finding("home", "ok", "well")]).endswith("nothing is wrong")


def test_the_port_that_is_looked_at_is_the_one_that_is_wanted_or_held(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        wanted = Fleet(name="demo", gateway=Gateway(port=number))
        [found] = ports(home, [], wanted)
        assert (found.level, found.found.startswith(f"port {number} on 127.0.0.1 is in use")) == ("warn", True)
        record = ProcessRecord(identity=ProcessIdentity.own(), address=f"http://127.0.0.1:{number}")
        write_json(home.fleet("demo").gateway, record)
        held = [f"{number} is the gateway's of fleet demo"]
        assert [each.found for each in ports(home, [home.fleet("demo")], wanted)] == held
        assert [each.found for each in ports(home, [home.fleet("demo")], None)] == held
        [_, other] = ports(home, [home.fleet("demo")], Fleet(name="other", gateway=Gateway(port=number)))
        assert "by the gateway of fleet demo" in other.found
    assert ports(home, [], Fleet(name="demo", gateway=Gateway(port=0))) == []


async def test_a_fleet_file_is_looked_at_too(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("gateway: {port: 0}\ndeployments: {a: {engine: ecko}, b: {engine: echo, replicas: -1}}")
    environment = Environment.read({"ARGOSY_HOME": str(tmp_path / "home"), "ARGOSY_SOURCES": "https"})
    found = [each for each in await checkup(environment, file) if each.check == "file"]
    assert [each.level for each in found] == ["fail", "fail"]
    file.write_text("gateway: {port: 0}\ndeployments: {a: {engine: echo}}")
    [found_well] = [each for each in await checkup(environment, file) if each.check == "file"]
    assert found_well == Finding("file", "ok", f"{file}: no faults")
