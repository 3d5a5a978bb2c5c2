"""The page as a whole: quick, quiet, for everybody, in two languages; side by side, the arena, the fleet."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest
from visiting import Fleet, Visit, answered, say, visiting

from argosy.web.site import DIST

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.model
VIEWS = ("chat", "compare", "arena", "leaderboard", "fleet")
RESTARTS = 5  # its place in a replica's row
MOST_BYTES = 150_000
MOST_MILLISECONDS = 500


def test_the_first_load_is_small(visit: Visit) -> None:
    packed = {path.name.removesuffix(".br"): path.stat().st_size for path in DIST.rglob("*.br")}
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.go().get_by_label("Message").wait_for()
    names = {url.rpartition("/")[2] or "index.html" for url in asked if "/argosy/" not in url}
    assert "index.html" in names
    loaded = sum(packed.get(name) or (DIST / "assets" / name).stat().st_size for name in names)
    print(f"\nfirst load: {loaded / 1000:.0f} kB in {len(names)} files")
    assert loaded <= MOST_BYTES


@pytest.mark.whole
def test_the_first_paint_is_quick(browser: Browser, fleet: Fleet) -> None:
    paints = []
    for _ in range(3):
        with visiting(browser, fleet.url) as visit:
            page = visit.go()
            page.get_by_label("Message").wait_for()
            paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
    print(f"\nfirst paint after {min(paints):.0f} ms")
    assert min(paints) < MOST_MILLISECONDS


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.whole
def test_a_checker_finds_nothing_serious(browser: Browser, fleet: Fleet, axe: str, view: str, scheme: str) -> None:
    with visiting(browser, fleet.url, color_scheme=scheme) as visit:
        visit.expected = ["404", "503"]
        page = visit.go(f"#/{view}", query="?model=echo")
        page.get_by_role("heading", level=1).first.wait_for()
        if view == "chat":
            say(page, "# Title\n\nwords, `code`, [link](https://example.com)")
            answered(page)
        found = page.evaluate(f"() => {{ {axe}; return axe.run(); }}")
        serious = [
            (each["id"], [node["html"] for node in each["nodes"]])
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]
        assert serious == []


def test_the_page_speaks_chinese_and_remembers_it(browser: Browser, fleet: Fleet) -> None:
    with visiting(browser, fleet.url, locale="zh-CN") as visit:
        page = visit.go(query="?model=echo")
        assert page.locator("html").get_attribute("lang") == "zh-CN"
        page.get_by_label("消息").fill("你好，世界")
        page.keyboard.press("Enter")
        assert answered(page) == "你好，世界"
        page.get_by_role("button", name="English").click()
        page.get_by_role("link", name="Leaderboard").wait_for()
        page.reload()
        page.get_by_label("Message").wait_for()


@pytest.mark.whole
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_speaks_chinese(browser: Browser, fleet: Fleet, view: str) -> None:
    with visiting(browser, fleet.url, locale="zh-CN") as visit:
        visit.expected = ["404", "503"]
        page = visit.go(f"#/{view}")
        page.get_by_role("heading", level=1).first.wait_for()
        assert re.search("[一-鿿]", page.locator("main").inner_text())


@pytest.mark.whole
def test_a_keyboard_is_enough(visit: Visit) -> None:
    page = visit.go(query="?model=echo")
    page.get_by_label("Message").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "TEXTAREA":
            break
    page.keyboard.type("by keys alone")
    page.keyboard.press("Enter")
    assert answered(page) == "by keys alone"
    page.get_by_role("status").get_by_text("The answer: by keys alone").wait_for()


@pytest.mark.whole
@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_shows_all_of_it(browser: Browser, fleet: Fleet, view: str) -> None:
    with visiting(browser, fleet.url, viewport={"width": 360, "height": 740}, has_touch=True) as visit:
        visit.expected = ["404", "503"]
        page = visit.go(f"#/{view}")
        page.get_by_role("heading", level=1).first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        if view == "chat":
            page.get_by_role("button", name="History").click()
            page.get_by_role("button", name="New chat").wait_for()


def test_one_prompt_is_answered_side_by_side(visit: Visit) -> None:
    page = visit.go("#/compare")
    page.get_by_role("combobox", name="Model 1").select_option("echo")
    page.get_by_role("combobox", name="Model 2").select_option("slow")
    say(page, "one two three")
    for name in ("echo", "slow"):
        page.get_by_role("region", name=name, exact=True).locator(".figures").wait_for()
        assert page.get_by_role("region", name=name, exact=True).locator(".text").inner_text() == "one two three"
    page.get_by_role("group", name="Which answer is better?").wait_for()
    if page.request.get(f"{visit.url}/argosy/v1/arena").status == 200:
        page.get_by_role("button", name="Equally good").click()
        page.get_by_text("your vote is counted").wait_for()
        page.get_by_role("link", name="Leaderboard").click()
        page.get_by_label("Votes").select_option("named")
        page.get_by_role("rowheader", name="slow").first.wait_for()


def test_names_are_told_after_the_vote_and_the_leaderboard_follows(visit: Visit) -> None:
    visit.expected = ["404"]
    page = visit.go("#/arena")
    page.get_by_role("heading", level=1).wait_for()
    if page.request.get(f"{visit.url}/argosy/v1/arena").status != 200:
        pytest.skip("this gateway has no arena")
    say(page, "one two three")
    for side in ("A", "B"):
        page.get_by_role("region", name=f"Model {side}", exact=True).locator(".figures").wait_for()
    before = page.inner_text("main")
    assert not any(name in before for name in ("smollm2", "echo", "slow"))
    page.get_by_role("button", name="A is better").click()
    page.get_by_text("Thank you: your vote").filter(has_text="Model A: ").wait_for()
    page.get_by_role("link", name="Leaderboard").first.click()
    page.get_by_text("From 1 vote.").wait_for()
    assert page.get_by_text("preliminary").count() == 2


def test_a_replica_is_seen_to_die_and_to_come_back(visit: Visit, fleet: Fleet) -> None:
    page = visit.go("#/fleet")
    page.get_by_role("button", name="Give the admin key").click()
    page.get_by_label("Admin key", exact=True).fill(fleet.admin_key)
    page.get_by_role("button", name="Use this key").click()
    page.get_by_role("heading", name="Fleet page").wait_for()
    row = page.get_by_role("row", name="echo.1")
    row.get_by_text("ready", exact=True).wait_for()
    os.kill(fleet.replicas()["echo.1"]["engine_pid"], signal.SIGKILL)
    page.get_by_role("list").get_by_text("SIGKILL").first.wait_for()
    row.locator("td").nth(RESTARTS).filter(has_text=re.compile(r"^[1-9]$")).wait_for()
    page.get_by_role("region", name="echo", exact=True).get_by_text("2 of 2 ready").wait_for()


@pytest.mark.whole
def test_with_the_admin_key_replicas_are_scaled_drained_read_and_started(visit: Visit, fleet: Fleet) -> None:
    visit.show_admin_key(fleet.admin_key)
    page = visit.go("#/fleet")
    card = page.get_by_role("region", name="slow", exact=True)
    card.get_by_label("Replicas of slow").fill("2")
    card.get_by_role("button", name="Scale").click()
    card.get_by_text("2 of 2 ready").wait_for()
    with page.expect_response("**/fleet/restart/slow") as answer:
        card.get_by_role("button", name="Restart: slow").click()
    assert answer.value.ok
    page.get_by_role("list").get_by_text("stopping").or_(
        page.get_by_role("list").get_by_text("draining")
    ).first.wait_for()
    card.get_by_text("2 of 2 ready").wait_for()
    page.get_by_role("row", name="slow.1").get_by_role("button", name="Drain").click()
    card.get_by_text("1 of 1 ready").wait_for()
    page.get_by_role("row", name="slow.0").get_by_role("button", name="Log").click()
    page.get_by_role("log").filter(has_text="slow").wait_for()
    page.get_by_role("row", name="slow.0").get_by_role("button", name="Log").click()
    page.on("dialog", lambda dialog: dialog.accept())
    card.get_by_role("button", name="Stop").click()
    card.get_by_text("stopped").first.wait_for()
    card.get_by_role("button", name="Start: slow", exact=True).click()
    card.get_by_text(re.compile(r"(\d) of \1 ready")).wait_for()
    page.get_by_label("Source").fill("https://127.0.0.1:9/model.gguf")
    page.get_by_role("button", name="Pull").click()
    page.locator(".fault").get_by_text("127.0.0.1").wait_for()
