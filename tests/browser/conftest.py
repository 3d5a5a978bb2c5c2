"""Chromium on the page of a real fleet. Every test fails on a message in the console and on a request to elsewhere.

Skipped, with the reason, where chromium, playwright or the built page is missing. `make test-web` has them all.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from visiting import ARGUMENTS, CHROMIUM, Fleet, Visit, has_arena, running, visiting

from argosy.web.site import DIST

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
FLEET = """
name: page
gateway: {port: 0}
arena: {}
deployments:
  smollm2: {source: MODEL, options: {context: 1024, slots: 2, threads: 1}}
  echo: {engine: echo, replicas: 2, options: {tokens_per_second: 200, faults: true}}
  slow: {engine: echo, options: {tokens_per_second: 8}}
"""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = why_not()
    own = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in own:
        if missing:
            item.add_marker(pytest.mark.skip(reason=missing))
        elif "whole" in item.keywords and os.environ.get("ARGOSY_WEB_TESTS") != "all":
            item.add_marker(pytest.mark.skip(reason="make test-web runs it"))


def why_not() -> str | None:
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: make setup"
    if CHROMIUM is None:
        return "chromium is not installed: apt-get install chromium"
    if not (DIST / "index.html").is_file():
        return "the page is not built: make web"
    return None


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Fleet]:
    """One for all tests of the page: what they change, they change back."""
    text = FLEET.replace("MODEL", str(smollm2))
    file = text if has_arena() else text.replace("arena: {}\n", "")
    with running(tmp_path_factory.mktemp("page"), "page", file) as started:
        yield started


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, fleet: Fleet) -> Iterator[Visit]:
    with visiting(browser, fleet.url) as opened:
        yield opened


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checker's script."""
    found = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
    if not found.is_file():
        pytest.skip("axe-core is not installed: make web")
    return found.read_text(encoding="utf-8")
