"""Changes of a running fleet over real processes: what is started anew, and above all what is not."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from argosy.processes.identity import ProcessIdentity
from command import Argosy, gone, kill
from waiting import until

FLEET = """
gateway: {port: 0}
grace: 2
deployments:
  org/a: {engine: echo, replicas: 2, options: {slots: 4}}
  b: {engine: echo}
"""


@pytest.fixture
def up(argosy: Argosy) -> Argosy:
    argosy.run("up", "-d", argosy.file(FLEET))
    return argosy


def pids(argosy: Argosy) -> dict[str, tuple[int, int]]:
    return {name: (each["worker_pid"], each["engine_pid"]) for name, each in argosy.replicas_now().items()}


def ready(argosy: Argosy, *replicas: str) -> dict[str, tuple[int, int]]:
    """Until these and no others are ready: their processes."""

    def look() -> object:
        now = argosy.replicas_now()
        return [name for name, each in now.items() if each["state"] == "ready"] == list(replicas)

    until(look, seconds=20, what=f"{replicas} are ready")
    found = pids(argosy)
    return {name: found[name] for name in replicas}


def test_limits_aliases_and_timeouts_restart_nothing_and_an_option_only_its_deployment(up: Argosy) -> None:
    before = pids(up)
    changed = FLEET.replace(
        "slots: 4}",
        "slots: 4}, aliases: [other], concurrency: 1, max_queue: 0, timeouts: {queue: 5}, weight: 2",
    ).replace("grace: 2", "grace: 3")
    told = up.run("up", "-d", up.file(changed)).stdout
    assert "org/a: changed without a restart (aliases, concurrency unset → 1, max_queue 1000 → 0" in told
    assert "grace: changed without a restart (2 → 3)" in told
    assert "unchanged: b" in told
    assert up.run("chat", "other", "hello").stdout.strip() == "hello"
    status = up.fleet().replica("org/a.0").status
    until(lambda: json.loads(status.read_text())["concurrency"] == 1, what="the worker has heard of its limit")
    assert json.loads(status.read_text())["weight"] == 2
    assert pids(up) == before
    told = up.run("up", "-d", up.file(changed.replace("slots: 4", "slots: 5"))).stdout
    assert "org/a: restarted (options.slots 4 → 5)" in told
    after = pids(up)
    assert after["b.0"] == before["b.0"]
    assert not {after["org/a.0"], after["org/a.1"]} & set(before.values())


def test_scale_lasts_over_the_controllers_death_until_the_next_up(up: Argosy) -> None:
    before = pids(up)
    assert "3 replicas wanted, until the next `argosy up`" in up.run("scale", "org/a", "3").stdout
    scaled = ready(up, "org/a.0", "org/a.1", "org/a.2", "b.0")
    assert before.items() <= scaled.items()
    kill(up.pid("controller"))
    told = up.run("up", "-d", "fleet.yaml").stdout
    assert "org/a: changed without a restart (replicas 3 → 2)" in told
    assert ready(up, "org/a.0", "org/a.1", "b.0") == before
    up.run("scale", "org/a", "0")
    ready(up, "b.0")


def test_restart_replaces_every_replica_and_leaves_the_others(up: Argosy) -> None:
    before = pids(up)
    engines = [ProcessIdentity.of(engine) for name, (_, engine) in before.items() if name != "b.0"]
    assert "one replica after the other" in up.run("restart", "org/a").stdout
    assert gone(engines) or until(lambda: not any(each.alive for each in engines), seconds=15)
    after = ready(up, "org/a.0", "org/a.1", "b.0")
    assert after["b.0"] == before["b.0"]
    assert all(each["restarts"] == 0 for each in up.replicas_now().values())


def test_a_drained_replica_is_out_until_it_is_started(up: Argosy) -> None:
    before = pids(up)
    assert "stays out until `argosy start org/a.0`" in up.run("drain", "org/a.0").stdout
    ready(up, "org/a.1", "b.0")
    told = up.ask()["deployments"][0]
    assert (told["wanted"], told["ready"]) == (1, 1)
    assert "drained; `argosy start org/a.0` brings it back" in up.run("ps").stdout
    assert up.run("chat", "org/a", "hello").stdout.strip() == "hello"
    up.run("start", "org/a.0")
    after = ready(up, "org/a.0", "org/a.1", "b.0")
    assert after["org/a.1"] == before["org/a.1"]
    assert after["org/a.0"] != before["org/a.0"]
    up.run("drain", "b.0")
    assert "no longer drained" in up.run("up", "-d").stdout


def test_what_cannot_be_changed_is_refused_in_a_sentence(up: Argosy) -> None:
    assert "the fleet has no deployment 'nobody'; it has: org/a, b" in up.run("restart", "nobody", code=2).stderr
    assert "b is a deployment: `argosy stop b` stops it" in up.run("drain", "b", code=2).stderr
    with pytest.raises(urllib.error.HTTPError) as refused:
        up.ask("/argosy/v1/fleet/scale/b?replicas=many", "POST")
    assert refused.value.code == 400
    assert "scale wants ?replicas=N" in json.load(refused.value)["error"]["message"]


def test_a_fleet_of_another_name_replaces_nothing(up: Argosy) -> None:
    before = pids(up)
    folder, gateway = up.fleet(), up.ask()["gateways"][0]["address"]

    def put(fleet: dict[str, Any]) -> Any:
        request = urllib.request.Request(f"{gateway}/argosy/v1/fleet", json.dumps({"fleet": fleet}).encode())
        request.method = "PUT"
        request.add_header("authorization", f"Bearer {folder.secret('admin_key')}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    port = int(gateway.rpartition(":")[2])
    with pytest.raises(urllib.error.HTTPError) as refused:
        put({"name": "other", "gateway": {"port": port}, "deployments": {"c": {"engine": "echo"}}})
    assert refused.value.code == 400
    assert "this is fleet fleet, and 'other' was sent" in json.load(refused.value)["error"]["message"]
    assert pids(up) == before
    put({"gateway": {"port": port}, "deployments": {"b": {"engine": "echo"}}})  # no name: the one that was asked
    assert ready(up, "b.0")["b.0"] == before["b.0"]


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("POST", "/scale", 404, "There is nothing at POST /argosy/v1/fleet/scale"),
        ("POST", "/nothing", 404, "There is nothing at POST /argosy/v1/fleet/nothing"),
        ("GET", "/drain/b.0", 405, "GET /argosy/v1/fleet/drain/b.0 is not taken, but POST"),
    ],
)
def test_a_path_or_method_that_is_not_there_is_told_as_any_other_error(
    up: Argosy, method: str, path: str, status: int, said: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        up.ask(f"/argosy/v1/fleet{path}", method)
    assert refused.value.code == status
    assert said in json.load(refused.value)["error"]["message"]


def test_the_gateway_passes_on_changes_of_names_with_slashes(up: Argosy) -> None:
    gateway = up.ask()["gateways"][0]["address"]

    def post(path: str) -> Any:
        request = urllib.request.Request(f"{gateway}/argosy/v1/fleet/{path}", method="POST")
        request.add_header("authorization", f"Bearer {up.fleet().secret('admin_key')}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["deployments"][0]

    assert post("scale/org/a?replicas=1")["wanted"] == 1
    first = ready(up, "org/a.0", "b.0")
    assert post("restart/org%2Fa")["name"] == "org/a"
    until(lambda: ready(up, "org/a.0", "b.0")["org/a.0"] != first["org/a.0"], seconds=20)
    assert post("drain/org/a.0")["wanted"] == 0
    ready(up, "b.0")


def test_ps_tells_tokens_memory_and_uptime(up: Argosy) -> None:
    address = up.ask()["gateways"][0]["address"]
    question = {"model": "b", "messages": [{"role": "user", "content": "word " * 50}]}
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{address}/v1/chat/completions", json.dumps(question).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["usage"]["completion_tokens"] == 50
    told = until(lambda: (now := up.replicas_now()["b.0"])["tokens_per_second"] and now, seconds=5)
    assert told["tokens_per_second"] == 5.0  # 50 tokens in the last 10 seconds
    assert told["memory_bytes"] > 1024 * 1024
    assert up.replicas_now()["org/a.0"]["tokens_per_second"] == 0
    header, line = [line for line in up.run("ps").stdout.splitlines() if "MEMORY" in line or " b.0 " in line]
    assert line[header.index("MEMORY") :].split()[1] == "MiB"
    assert line[header.index("UPTIME") :].split()[0].endswith("s")
