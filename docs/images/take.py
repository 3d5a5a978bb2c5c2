"""The pictures of the READMEs and the guides, taken in chromium of a real fleet: `make screenshots`.

Two models that run here, real conversations, a real battle.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "tests"), str(HERE.parents[1] / "tests" / "browser")]

from visiting import ARGUMENTS, CHROMIUM, Fleet, answered, running, say, visiting  # noqa: E402
from real_models import weights  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLEET = """
name: demo
gateway: {port: 0}
arena: {}
deployments:
  qwen2.5-coder-0.5b: {source: QWEN, options: {context: 2048, slots: 2, threads: 2}}
  smollm2: {source: SMOLLM2, replicas: 2, options: {context: 1024, slots: 2, threads: 1}}
"""
PROMPT = {
    "en": "Write a Python function that tells whether a year is a leap year, and say why it works.",
    "zh": "用 Python 写一个判断闰年的函数，并简单解释。",
}
LONG = 240  # seconds: models on a CPU that others use too
SMALL = {"width": 1180, "height": 760}
CHARTS_MS = 45_000  # so that there is something in them


def chat(page: Page, language: str) -> None:
    settings, most, temperature, message = {
        "en": ("Settings", "Most tokens", "Temperature", "Message"),
        "zh": ("设置", "最多 token 数", "温度", "消息"),
    }[language]
    page.get_by_label(settings).click()
    page.get_by_label(most).fill("240")
    page.get_by_label(temperature).fill("0")
    page.get_by_label(settings).first.click()
    page.get_by_label(message).fill(PROMPT[language])
    page.keyboard.press("Enter")
    answered(page)


def take(browser: Browser, fleet: Fleet) -> None:
    for language, locale, name in (("en", "en-US", "chat.png"), ("zh", "zh-CN", "chat.zh.png")):
        with visiting(browser, fleet.url, seconds=LONG, locale=locale, viewport=SMALL) as visit:
            page = visit.go(query="?model=qwen2.5-coder-0.5b")
            chat(page, language)
            page.screenshot(path=HERE / name)
    with visiting(browser, fleet.url, seconds=LONG, color_scheme="dark", viewport=SMALL) as visit:
        page = visit.go("#/compare", query="?model=qwen2.5-coder-0.5b")
        page.get_by_label("Model 2").select_option("smollm2")
        say(page, "What is a fleet of ships called?")
        page.locator(".figures").nth(1).wait_for()
        page.screenshot(path=HERE / "compare.png")
    with visiting(browser, fleet.url, seconds=LONG, viewport=SMALL) as visit:
        page = visit.go("#/arena")
        say(page, "Why is the sea salty? Two sentences.")
        page.get_by_role("group", name="Which answer is better?").wait_for()
        page.screenshot(path=HERE / "arena.png")
    with (
        visiting(browser, fleet.url, seconds=LONG, viewport={"width": 1180, "height": 900}) as visit,
        asking(fleet.url),
    ):
        visit.show_admin_key(fleet.admin_key)
        page = visit.go("#/fleet")
        page.get_by_role("row", name="smollm2.1").wait_for()
        page.wait_for_timeout(CHARTS_MS)
        page.screenshot(path=HERE / "fleet.png")


@contextmanager
def asking(url: str) -> Iterator[None]:
    """People who ask, so that the fleet has something to do."""
    enough = Event()

    def person(model: str) -> None:
        asked = {
            "model": model,
            "messages": [{"role": "user", "content": "Tell me about the sea."}],
            "max_tokens": 60,
            "stream": True,
        }
        while not enough.is_set():
            request = Request(f"{url}/v1/chat/completions", json.dumps(asked).encode())
            request.add_header("content-type", "application/json")
            with urlopen(request, timeout=LONG) as answer:
                answer.read()

    with ThreadPoolExecutor() as people:
        for model in ("smollm2", "smollm2", "qwen2.5-coder-0.5b"):
            people.submit(person, model)
        try:
            yield
        finally:
            enough.set()


def main() -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    file = FLEET.replace("QWEN", str(weights("qwen2.5-coder:0.5b"))).replace("SMOLLM2", str(weights("smollm2")))
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), "demo", file) as fleet,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        take(browser, fleet)
        browser.close()


if __name__ == "__main__":
    main()
