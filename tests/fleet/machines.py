"""Two machines on one: network namespaces with a wire between them, each with interfaces and routes of its own.

    gateway 10.77.1.1 ──── 10.77.1.2 worker, which also has 10.77.2.2 on a network that the gateway does not reach

Wants root and `ip` (iproute2); `why_not()` says what is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from command import Argosy

GATEWAY, WORKER, ELSEWHERE = "10.77.1.1", "10.77.1.2", "10.77.2.2"


@dataclass
class Machine(Argosy):
    """The command as it runs on that machine."""

    namespace: str = ""

    def argv(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, *super().argv(*words)]


def why_not() -> str:
    """Why there can be no namespaces here; "" where there can."""
    if shutil.which("ip") is None:
        return "there is no `ip` (iproute2)"
    name = f"argosy-probe-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return f"no network namespaces are allowed here: {tried.stderr.strip()}"
    _ip("netns", "delete", name)
    return ""


@contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """(the gateway's, the worker's), with the wire between them; both are gone afterwards."""
    names = f"argosy-gateway-{os.getpid()}", f"argosy-worker-{os.getpid()}"
    made = list[str]()
    try:
        for name in names:
            _ip("netns", "add", name)
            made.append(name)
            _ip("-n", name, "link", "set", "lo", "up")
        gateway, worker = names
        _ip("-n", gateway, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", worker)
        for name, address in ((gateway, GATEWAY), (worker, WORKER)):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", "wire")
            _ip("-n", name, "link", "set", "wire", "up")
        # The worker's way to everybody else is another one than its way to the gateway.
        _ip("-n", worker, "link", "add", "other", "type", "veth", "peer", "name", "aside")
        _ip("-n", worker, "link", "set", "aside", "up")
        _ip("-n", worker, "address", "add", f"{ELSEWHERE}/24", "dev", "other")
        _ip("-n", worker, "link", "set", "other", "up")
        _ip("-n", worker, "route", "add", "default", "dev", "other")
        _ip("-n", gateway, "route", "add", "default", "dev", "wire")
        _ip("-n", gateway, "route", "add", "unreachable", "10.77.2.0/24")
        yield names
    finally:
        for name in made:
            _ip("netns", "delete", name)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
