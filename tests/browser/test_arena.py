"""Two real models fight without names; and what strangers write into a fleet stays text. By `make test-web` alone."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from visiting import Fleet, Visit, has_arena, running, say, visiting

from real_models import weights

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Response

pytestmark = [pytest.mark.model, pytest.mark.whole]
MODELS = ("smollm2", "qwen-coder")
TELLING = ("smol", "qwen", "llama", "gguf")  # names, makers' words, engines
WILD = "<img src=x onerror=alert(1)>"
FLEET = f"""
name: duel
gateway: {{port: 0}}
arena: {{models: [smollm2, qwen-coder]}}
deployments:
  smollm2: {{source: SMOLLM2, options: {{context: 1024, threads: 1}}}}
  qwen-coder: {{source: QWEN, options: {{context: 1024, threads: 1}}}}
  loud:
    engine: command
    command: [sh, -c, "echo '{WILD}'; exec '{{python}}' -m argosy.engines.echo_server --name loud --port {{port}}"]
"""
AT = 1795355310.0


def state(model: str, question: str) -> dict[str, Any]:
    """A conversation in FastChat's log."""
    return {
        "model_name": model,
        "conv_id": model,
        "messages": [["user", question], ["assistant", "words"]],
        "offset": 0,
    }


def vote(better: str, worse: str, question: str, *, at: float = AT) -> dict[str, Any]:
    """A line of FastChat's log."""
    states = [state(each, question) for each in (better, worse)]
    return {"tstamp": at, "type": "leftvote", "models": ["", ""], "states": states, "ip": ""}


TALK = """() => {
    const page = document.querySelector("main").cloneNode(true);
    for (const answer of page.querySelectorAll(".text")) answer.remove();
    return page.textContent;
}"""  # all that the page says by itself


@pytest.fixture(scope="module")
def duel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    if not has_arena():
        pytest.skip("the arena's packages are not installed: make setup")
    file = FLEET.replace("SMOLLM2", str(weights("smollm2"))).replace("QWEN", str(weights("qwen2.5-coder:0.5b")))
    with running(tmp_path_factory.mktemp("duel"), "duel", file) as started:
        yield started


@pytest.fixture
def guest(browser: Browser, duel: Fleet) -> Iterator[Visit]:
    with visiting(browser, duel.url, seconds=120) as opened:
        yield opened


def test_two_real_models_fight_without_names_until_the_vote(guest: Visit) -> None:
    heard: list[Response] = []
    guest.page.on("response", lambda each: heard.append(each) if "/battles" in each.url else None)
    page = guest.go("#/arena")
    sides = [page.get_by_role("region", name=f"Model {side}", exact=True) for side in "AB"]
    for turn, prompt in enumerate(("What is the capital of France?", "And of Italy? One word.")):
        say(page, prompt)
        for side in sides:
            side.locator(".figures").nth(turn).wait_for()
            assert side.locator(".text").nth(turn).inner_text()
    assert len(heard) == 5  # the draw, and two sides twice
    assert given_away(page.evaluate(TALK), *(str(each.all_headers()) for each in heard)) == []
    page.get_by_role("button", name="B is better").click()
    page.get_by_role("status").filter(has_text="Model A: ").wait_for()
    named = [side.locator(".column-head strong").inner_text() for side in sides]
    assert sorted(named) == sorted(MODELS)
    page.get_by_role("button", name="New battle").click()
    page.get_by_label("Message").wait_for()
    assert not any(name in page.inner_text("main") for name in MODELS)


def given_away(*told: str) -> list[str]:
    return [word for word in TELLING for each in told if word in each.lower()]


def test_what_llama_cpp_sends_beside_its_words_names_nobody(guest: Visit) -> None:
    battles = f"{guest.url}/argosy/v1/arena/battles"
    battle = guest.page.request.post(battles, data={"language": "en"}).json()["id"]
    for side in "ab":
        asked = {"messages": [{"role": "user", "content": "What is 2 + 2?"}], "stream": True}
        answer = guest.page.request.post(f"{battles}/{battle}/sides/{side}/chat", data=asked)
        events = [json.loads(line[6:]) for line in answer.text().splitlines() if line.startswith("data: {")]
        spoken = [choice["delta"].pop("content", "") for event in events for choice in event["choices"]]
        assert "".join(spoken)
        assert given_away(str(answer.headers), json.dumps(events)) == []


def test_log_lines_stay_text(guest: Visit, duel: Fleet) -> None:
    guest.show_admin_key(duel.admin_key)
    page = guest.go("#/fleet")
    page.get_by_role("button", name="Log: loud.0").click()
    page.get_by_role("log").filter(has_text=WILD).wait_for()
    assert page.locator("main img").count() == 0


def bring(duel: Fleet, *votes: dict[str, Any]) -> None:
    lines = "\n".join(map(json.dumps, votes))
    request = urllib.request.Request(f"{duel.url}/argosy/v1/arena/import", lines.encode())
    request.add_header("authorization", f"Bearer {duel.admin_key}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["imported"] == len(votes)


def test_each_language_has_its_own_board(guest: Visit, duel: Fleet) -> None:
    chinese = [vote("south", "north", question, at=AT + at) for at, question in enumerate(("海为什么是咸的？", "你好"))]
    bring(duel, vote("north", "south", "Why is the sea salty?"), *chinese)
    page = guest.go("#/leaderboard")
    names = (
        page.get_by_role("region", name="Leaderboard")
        .get_by_role("rowheader")
        .filter(has_text=re.compile("north|south"))
    )
    page.get_by_label("Language of the prompts").select_option("zh")
    page.get_by_text("From 2 votes.").wait_for()
    assert [each.split()[0] for each in names.all_inner_texts()] == ["south", "north"]
    with page.expect_response("**/leaderboard?*language=en*"):
        page.get_by_label("Language of the prompts").select_option("en")
    names.first.filter(has_text="north").wait_for()
    assert [each.split()[0] for each in names.all_inner_texts()] == ["north", "south"]


def test_names_of_models_stay_text(guest: Visit, duel: Fleet, tmp_path: Path) -> None:
    bring(duel, vote(WILD, "other", WILD))
    page = guest.go("#/leaderboard")
    page.get_by_role("rowheader", name=WILD).first.wait_for()
    assert page.locator("main img").count() == 0
    file = tmp_path / "wild.jsonl"
    file.write_text(json.dumps({"tstamp": AT, "type": "chat", "model": WILD, "state": state(WILD, WILD)}))
    page = guest.go("#/chat")
    page.get_by_text("Export and import").click()
    page.locator("input[type=file][accept*=jsonl]").set_input_files(file)
    page.get_by_role("navigation", name="History").get_by_role("link", name=WILD).click()
    page.locator(".turn.assistant .model").filter(has_text=WILD).wait_for()
    assert page.get_by_label("Model").input_value() == WILD
    assert page.locator(".turn img, .shelf img").count() == 0
