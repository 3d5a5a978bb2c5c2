"""Checks of the outside world: whether the hubs that models come from can be reached, through the proxies there are."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Mapping

from argosy.config.environment import Environment
from argosy.doctor.finding import Finding
from argosy.models import remote
from argosy.models.reach import Reach, host_of
from argosy.models.sources import KINDS, HubSource

_PIP_SECONDS = 20.0
_INDEX = re.compile(r"--index-url <url>.*?default:?\s+(https?://[^\s)]+)", re.DOTALL)
_ANY = "any/repository"


def hubs(environment: Environment) -> list[Finding]:
    """One for each kind of source that models may come from (ARGOSY_SOURCES, or all), all asked at once."""
    wrong = [kind for kind in environment.sources if kind not in KINDS]
    if wrong:
        cure = f"it takes {', '.join(KINDS)}"
        return [Finding("hubs", "fail", f"ARGOSY_SOURCES names {', '.join(map(repr, wrong))}", cure)]
    endpoints: dict[str, str | None] = {}
    for kind in environment.sources or KINDS:
        if kind in ("hf", "modelscope"):
            hub = HubSource(kind, _ANY)  # type: ignore[arg-type]
            endpoints[kind] = remote.endpoint(hub, environment.variables)
        elif kind == "pypi":
            endpoints[kind] = package_index(environment.variables)
    reach = Reach([endpoint for endpoint in endpoints.values() if endpoint], environment.variables)
    return [_finding(kind, endpoint, reach) for kind, endpoint in endpoints.items()]


def package_index(variables: Mapping[str, str]) -> str | None:
    """Where this Python's pip fetches from, by its own word: it reads its files and variables itself."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pip", "download", "--help"],
            capture_output=True,
            text=True,
            env=dict(variables),
            timeout=_PIP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    found = _INDEX.search(done.stdout)
    return "/".join(found[1].split("/")[:3]) if found else None


def _finding(kind: str, endpoint: str | None, reach: Reach) -> Finding:
    if endpoint is None:
        cure = f"{sys.executable} -m ensurepip"
        return Finding("hubs", "warn", f"{kind}: pip, which fetches these, is missing or does not answer", cure)
    if reason := reach.why_not(endpoint, threading.Event()):
        cure = "what is cached is served all the same; else " + _CURES.get(kind, "set HTTPS_PROXY")
        return Finding("hubs", "warn", f"{kind}: {host_of(endpoint)} cannot be reached: {reason}", cure)
    return Finding("hubs", "ok", f"{kind}: {host_of(endpoint)} can be reached")


_CURES = {
    "hf": "set HTTPS_PROXY, HF_ENDPOINT (a mirror), or leave hf out of ARGOSY_SOURCES",
    "modelscope": "set HTTPS_PROXY, or leave modelscope out of ARGOSY_SOURCES",
    "pypi": "set HTTPS_PROXY, or PIP_INDEX_URL to a mirror",
}
