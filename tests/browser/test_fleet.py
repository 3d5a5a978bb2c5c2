"""What runs, and what becomes of it, as the page shows it: GPUs, hours, a download, loading models, waiting lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hub import Hub, Repository
from visiting import Fleet, Visit, running, say, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.whole
DEVICES = """
cores: 16
memory: 512GiB
devices:
  - {index: 0, name: A100, uuid: GPU-0, memory: 80GiB}
  - {index: 1, name: A100, uuid: GPU-1, memory: 80GiB, used: 20GiB}
"""
# `late` serves once there is a file.
FLEET = """
name: yard
gateway: {port: 0}
deployments:
  pair: {engine: echo, gpus: [0, 1], memory_fraction: 0.5}
  too-large: {engine: echo, gpus: [0], memory_fraction: 0.9}
  narrow: {engine: echo, device: cpu, concurrency: 1, options: {tokens_per_second: 2}}
  late:
    engine: command
    device: cpu
    command:
      - sh
      - -c
      - until [ -e GATE ]; do sleep 0.1; done; exec '{python}' -m argosy.engines.echo_server --name late --port {port}
"""
WEIGHTS = bytes(range(256)) * 8000  # 2 MB
ASK = """text => void fetch("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "narrow", messages: [{ role: "user", content: text }], stream: true }),
})"""
LONG = "word " * 200
# Cells whose content is wider than they are.
SPILT = """() => [...document.querySelectorAll('.replicas td')]
    .filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText)"""


@dataclass(frozen=True)
class Yard:
    """`gate`: the file that `late` waits for. `hub`: where the fleet's `hf:` sources come from."""

    fleet: Fleet
    gate: Path
    hub: Hub


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    devices, gate = folder / "devices.yaml", folder / "gate"
    devices.write_text(DEVICES)
    gate.touch()
    with (
        Hub({"org/gguf": Repository({"m-Q4_K_M.gguf": WEIGHTS})}, stalling=True) as hub,
        running(
            folder,
            "yard",
            FLEET.replace("GATE", str(gate)),
            {"ARGOSY_DEVICES": str(devices), "HF_ENDPOINT": hub.url, "NO_PROXY": "127.0.0.1"},
            code=1,  # `too-large` has no place
        ) as fleet,
    ):
        yield Yard(fleet, gate, hub)


@pytest.fixture
def keeper(browser: Browser, yard: Yard) -> Iterator[Visit]:
    """A visit with the admin key."""
    with visiting(browser, yard.fleet.url) as opened:
        opened.show_admin_key(yard.fleet.admin_key)
        yield opened


def test_a_pull_shows_how_far_it_is_and_where_the_model_lies(keeper: Visit, yard: Yard) -> None:
    page = keeper.go("#/fleet")
    card = page.get_by_role("region", name="Pull a model")
    card.get_by_label("Source").fill("hf:org/gguf")
    card.get_by_role("button", name="Pull").click()
    card.get_by_role("status").filter(has_text=re.compile(r"downloading gguf: .* of 2(\.0)? MB")).wait_for()
    progress = card.get_by_role("progressbar")
    assert progress.get_attribute("max") == str(len(WEIGHTS))
    assert int(progress.get_attribute("value") or 0) < len(WEIGHTS)
    yard.hub.go_on.set()
    card.get_by_role("status").filter(has_text=re.compile("^There: .*m-Q4_K_M.gguf$")).wait_for()
    progress.wait_for(state="detached")
    path = Path(card.get_by_role("status").inner_text().removeprefix("There: "))
    assert path.read_bytes() == WEIGHTS


def test_the_menu_tells_that_a_model_loads(keeper: Visit, yard: Yard) -> None:
    page = keeper.go("#/chat", query="?model=late")
    badge = page.locator(".model-menu .badge")
    badge.get_by_text("ready", exact=True).wait_for()
    yard.gate.unlink()
    headers = {"authorization": f"Bearer {yard.fleet.admin_key}"}
    for change, then in (("stop", "stopped"), ("start", "loading")):
        assert page.request.post(f"{keeper.url}/argosy/v1/fleet/{change}/late", headers=headers).ok
        badge.get_by_text(then, exact=True).wait_for()
    page.get_by_label("Model").select_option("narrow")
    page.get_by_role("option", name="late · loading").wait_for(state="attached")
    page.get_by_label("Model").select_option("late")
    yard.gate.touch()
    badge.get_by_text("ready", exact=True).wait_for()


def test_the_menu_tells_how_many_wait(keeper: Visit) -> None:
    page = keeper.go("#/chat", query="?model=narrow")
    badge = page.locator(".model-menu .badge")
    badge.get_by_text("ready", exact=True).wait_for()
    say(page, LONG)
    page.locator(".turn.assistant .text").wait_for()
    page.evaluate(ASK, LONG)
    badge.get_by_text("ready, 1 waiting", exact=True).wait_for()
    page.get_by_role("button", name="Stop").click()
    badge.get_by_text("ready", exact=True).wait_for()


def test_bars_of_gpus_tell_what_was_given_out_and_what_others_have(keeper: Visit) -> None:
    page = keeper.go("#/fleet")
    page.get_by_text("16 cores · simulated").wait_for()
    page.get_by_role("img", name="gpu0 A100: 43 GB / 86 GB").wait_for()
    page.get_by_role("img", name="gpu1 A100: 64 GB / 86 GB").wait_for()
    assert page.locator(".shares").all_inner_texts() == ["pair.0\n43 GB"] * 2


def test_nothing_runs_into_its_neighbour(keeper: Visit) -> None:
    page = keeper.go("#/fleet")
    page.get_by_role("cell", name="gpu0 (simulated), gpu1 (simulated)").wait_for()
    page.get_by_role("cell", name="too-large.0 is pinned to gpu0").wait_for()
    for width in (1200, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(SPILT) == [], f"at a width of {width}"


def test_what_was_so_already_tells_its_own_hour(keeper: Visit, yard: Yard) -> None:
    since = yard.fleet.replicas()["pair.0"]["since"]
    page = keeper.go("#/fleet")
    told = page.get_by_role("region", name="What happened").get_by_role("listitem").filter(has_text="pair.0")
    at = told.locator("time").evaluate("time => Date.parse(time.dateTime) / 1000")
    assert abs(at - since) < 0.01
    refused = page.get_by_role("region", name="What happened").get_by_role("listitem").filter(has_text="pinned to gpu0")
    refused.wait_for()
    assert refused.locator("time").count() == 0
