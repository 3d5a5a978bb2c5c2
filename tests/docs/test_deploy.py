"""deploy/: what systemd and Docker are told, and that the commands in it behave as their comments say."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.config.environment import Environment
from argosy.config.load import load_fleet
from command import Argosy, kill
from waiting import until

DEPLOY = Path(__file__).parents[2] / "deploy"
_FLEET = "gateway: {port: 0}\ndeployments:\n  hello: {engine: echo}\n"


def unit(name: str) -> str:
    [value] = re.findall(rf"^{name}=(.*)$", (DEPLOY / "argosy.service").read_text(), re.MULTILINE)
    return str(value)


class Init:
    """Starts the unit's and the image's command lines as systemd or Docker would; ends what is left of them."""

    def __init__(self, argosy: Argosy) -> None:
        self.argosy = argosy
        self.path = argosy.folder / "argosy"  # stands for /opt/argosy/bin/argosy
        self.path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m argosy "$@"\n')
        self.path.chmod(0o755)
        self._out = argosy.folder / "out"
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, line: str, **variables: str) -> subprocess.Popen[bytes]:
        with self._out.open("wb") as out:
            process = subprocess.Popen(
                shlex.split(line.replace("/opt/argosy/bin/argosy", str(self.path))),
                env={**self.argosy.env(), **variables},
                cwd=self.argosy.folder,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def says(self, text: str) -> None:
        until(lambda: text in self._out.read_text(), seconds=20, what=text)

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def init(argosy: Argosy) -> Iterator[Init]:
    found = Init(argosy)
    yield found
    found.close()


def test_the_unit_starts_reloads_adopts_and_stops_a_fleet(argosy: Argosy, init: Init) -> None:
    argosy.file(_FLEET)
    main = init.start(unit("ExecStart"))
    init.says("fleet main is ready")
    replica = argosy.replicas()["hello.0"]

    argosy.file(_FLEET + "  more: {engine: echo}\n")
    assert init.start(unit("ExecReload")).wait(30) == 0
    assert argosy.replicas()["more.0"]["state"] == "ready"
    assert argosy.replicas()["hello.0"]["engine_pid"] == replica["engine_pid"]

    kill(argosy.pid("controller", "main"))
    assert main.wait(15) == 1, "Restart=on-failure"
    assert init.start(unit("ExecStop")).wait(15) == 0  # without MAINPID: nothing was asked for
    assert engine_lives(replica["engine_pid"])

    main = init.start(unit("ExecStart"))
    init.says("fleet main is ready")
    assert argosy.replicas()["hello.0"]["engine_pid"] == replica["engine_pid"], "adopted, not loaded again"

    assert init.start(unit("ExecStop"), MAINPID=str(main.pid)).wait(30) == 0
    assert main.wait(15) == 0
    assert argosy.processes() == []


def test_a_wrong_fleet_file_ends_the_unit_for_good(argosy: Argosy, init: Init) -> None:
    argosy.file("deployments: {hello: {engin: echo}}")
    assert str(init.start(unit("ExecStart")).wait(15)) == unit("RestartPreventExitStatus")


def test_sigterm_to_the_attached_command_ends_the_container_in_order(argosy: Argosy, init: Init) -> None:
    argosy.file(_FLEET)
    main = init.start(f"{init.path} {' '.join(docker('CMD'))}")
    init.says("fleet main is ready")
    main.send_signal(signal.SIGTERM)
    assert main.wait(30) == 0
    assert argosy.processes() == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "argosy.service").read_text().replace("/opt/argosy/bin/argosy", "/bin/true")
    (tmp_path / "argosy.service").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "argosy.service")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_runs_as_a_user_of_its_own_and_checks_its_health() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert "\nUSER 10001" in text
    assert "http://127.0.0.1:8000/health" in text
    assert docker("ENTRYPOINT") == ["tini", "--", "argosy"]
    fleet = load_fleet(DEPLOY / "fleet.yaml", Environment.read({}))
    assert (fleet.gateway.host, fleet.gateway.port) == ("0.0.0.0", 8000)


def docker(instruction: str) -> list[str]:
    [words] = re.findall(rf"^{instruction} (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    found: list[str] = json.loads(words)
    return found


def engine_lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
