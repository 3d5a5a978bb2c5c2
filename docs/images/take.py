"""The pictures of the READMEs and the guide, taken in chromium of a real fleet: `make screenshots`.

Two models that run here, real conversations, real votes where this Argosy has an arena.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "tests"), str(HERE.parents[1] / "tests" / "browser")]

from command import Argosy  # noqa: E402
from visiting import Fleet, answered, say, visiting  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MODELS = Path(os.environ.get("ARGOSY_TEST_MODELS", Path.home() / ".cache" / "argosy-test-models"))
FLEET = f"""
name: demo
gateway: {{port: 0}}
deployments:
  qwen2.5-coder-0.5b: {{source: {MODELS}/qwen2.5-coder-0.5b.gguf, options: {{context: 2048, slots: 2, threads: 2}}}}
  smollm2: {{source: {MODELS}/smollm2-135m.gguf, replicas: 2, options: {{context: 1024, slots: 2, threads: 1}}}}
"""
PROMPT = {
    "en": "Write a Python function that tells whether a year is a leap year, and say why it works.",
    "zh": "用 Python 写一个判断闰年的函数，并简单解释。",
}
LONG = 240  # seconds: models on a CPU that others use too
SMALL = {"width": 1180, "height": 760}


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
        page.evaluate(f"sessionStorage.setItem('argosy.key.admin', '{fleet.admin_key}')")
        page = visit.go("#/fleet")
        page.reload()
        page.get_by_role("row", name="smollm2.1").wait_for()
        page.wait_for_timeout(15_000)  # so that there is something in the charts
        page.screenshot(path=HERE / "fleet.png")


def main() -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp())
    for name in ("home", "work"):
        (folder / name).mkdir(mode=0o700)
    argosy = Argosy(folder / "home", folder / "work")
    argosy.file(FLEET)
    try:
        argosy.run("up", "-d", "fleet.yaml")
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server"]
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
            take(browser, Fleet(argosy, "demo"))
            browser.close()
    finally:
        argosy.end()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
