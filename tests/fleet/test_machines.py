"""A worker and its gateway on two machines: network namespaces with a wire between them, and a proxy that is dead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from machines import ELSEWHERE, GATEWAY, WORKER, Machine, namespaces, why_not

from command import kill
from waiting import until

REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
ECHO = ("worker", "--engine", "echo", "--name", "mine", "--join")
DEAD_PROXY = {
    name: "http://10.77.1.99:3128"
    for variable in ("http_proxy", "https_proxy", "all_proxy")
    for name in (variable, variable.upper())
}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    """(the gateway's machine, the worker's), each with a home of its own; the worker's knows no token."""
    with namespaces() as names:
        machines = []
        for name in names:
            folder = tmp_path / name
            folder.mkdir()
            machines.append(Machine(folder / "home", folder, DEAD_PROXY, name))
        gateway, worker = machines
        yield gateway, worker
        gateway.end()
        worker.end()


def test_machines_join_by_what_the_gateway_prints_and_lose_and_find_each_other(here: tuple[Machine, Machine]) -> None:
    gateway, worker = here
    with gateway.attached("gateway", "--host", "0.0.0.0", "--port", "0", "--name", "door") as door:
        line = until(
            lambda: re.search(
                r"another machine: argosy worker SOURCE --join (\S+:(\d+)) --join-token-file FILE\n.*a copy of (\S+)\)",
                gateway.output("gateway"),
            )
        )
        address, port, token = line[1], line[2], line[3]
        assert address == f"http://{GATEWAY}:{port}", "the address by which others reach it"
        copy = worker.folder / "token"
        copy.write_text(Path(token).read_text())
        join = (*ECHO, address, "--join-token-file", str(copy))

        for advertise in (f"{ELSEWHERE}:21002", f"{GATEWAY}:{port}"):
            refused = worker.run(*join, "--advertise", advertise, code=2)
            assert f"at http://{advertise}" in refused.stderr, refused.stderr
            assert "replica.starting" not in refused.stdout, "nothing was loaded"
        assert "something that is no worker of this fleet" in refused.stderr

        with worker.attached(*join, "--port", "21002") as process:
            until(lambda: answers(gateway), seconds=20)
            [first] = gateway.ps()["deployments"][0]["replicas"]
            assert first["address"] == f"http://{WORKER}:21002", "by the interface that reaches the gateway"

            kill(door.pid)
            until(lambda: "gateway.silent" in worker.output("worker"))
            with gateway.attached("gateway", "--host", "0.0.0.0", "--port", port, "--name", "door"):
                until(lambda: answers(gateway), seconds=20)
                [second] = gateway.ps()["deployments"][0]["replicas"]
                assert second["engine_pid"] == first["engine_pid"], "no model was loaded again"

                stopped = worker.run("stop", "workers").stdout
                assert f"{first['id']}: stopped" in stopped
                assert process.wait(1) == 0
                until(lambda: gateway.ps()["deployments"] == [])


def answers(gateway: Machine) -> bool:
    return gateway.run("chat", "mine", "hello", code=None).stdout.strip() == "hello"
