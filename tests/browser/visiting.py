"""A person's browser on the page of a fleet, and what they do there again and again."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argosy.processes.identity import ProcessIdentity
from argosy.state import write_json
from command import Argosy

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]
SECONDS = 60.0  # a bound, which a busy machine must not reach


class Fleet:
    """A running fleet, its door's address and its keys."""

    def __init__(self, argosy: Argosy, name: str) -> None:
        self._argosy = argosy
        self._name = name
        self.url: str = argosy.ps("--fleet", name)["gateways"][0]["address"]
        self.admin_key = argosy.fleet(name).secret("admin_key")

    def replicas(self) -> dict[str, dict[str, Any]]:
        return self._argosy.replicas("--fleet", self._name)


@contextmanager
def running(
    folder: Path, name: str, file: str, variables: Mapping[str, str] | None = None, *, code: int = 0
) -> Iterator[Fleet]:
    """A fleet of this process: also a run that is killed leaves no models behind. `code`: what `up` ends with."""
    for each in ("home", "work"):
        (folder / each).mkdir(mode=0o700)
    argosy = Argosy(folder / "home", folder / "work", variables or {})
    write_json(argosy.fleet(name).owner, ProcessIdentity.own())
    argosy.file(file)
    try:
        argosy.run("up", "-d", "fleet.yaml", code=code)
        yield Fleet(argosy, name)
    finally:
        argosy.run("down", "--now")
        argosy.end()


class Visit:
    """A person's browser: its page, and what went wrong there."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        self.expected: list[str] = []  # words of faults that this test brings about
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        page.on("request", lambda request: self._asked(request.url))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.faults.append(text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.faults.append(f"asked {url}")

    def go(self, place: str = "", *, query: str = "") -> Page:
        self.page.goto(f"{self.url}/{query}{place}")
        return self.page

    def show_admin_key(self, key: str) -> None:
        """As if it had been typed on this tab before."""
        self.page.add_init_script(f"sessionStorage.setItem('argosy.key.admin', '{key}')")

    def unexpected(self) -> list[str]:
        return [fault for fault in self.faults if not any(words in fault for words in self.expected)]


@contextmanager
def visiting(browser: Browser, url: str, *, seconds: float = SECONDS, **context: Any) -> Iterator[Visit]:
    opened = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, "locale": "en-US", **context})
    opened.set_default_timeout(seconds * 1000)
    visit = Visit(opened.new_page(), url)
    try:
        yield visit
        assert visit.unexpected() == [], visit.unexpected()
    finally:
        opened.close()


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.keyboard.press("Enter")


def answered(page: Page, number: int = 1) -> str:
    """The text of the last answer, once so many are whole."""
    page.wait_for_function(
        "n => document.querySelectorAll('.turn.assistant[aria-busy=false] .figures').length >= n", arg=number
    )
    return page.locator(".turn.assistant .text").last.inner_text()


def has_arena() -> bool:
    return all(importlib.util.find_spec(name) for name in ("sqlalchemy", "numpy"))
