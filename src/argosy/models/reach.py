"""Whether hubs can be reached from here, quickly: a network that swallows packets must not cost minutes."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

SECONDS = 2.5
_POLL_SECONDS = 0.02  # an event of ours and a cancellation cannot be awaited together


class Reach:
    """Tries all endpoints (https://host) at once. Behind a proxy it is the proxy that must be reached."""

    def __init__(self, endpoints: Iterable[str], variables: Mapping[str, str], *, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._tried: dict[str, threading.Event] = {}
        self._reasons: dict[str, str] = {}
        for endpoint in dict.fromkeys(endpoints):
            self._tried[endpoint] = threading.Event()
            # Resolving a name cannot be cancelled: a thread that hangs in it is left behind.
            threading.Thread(target=self._try, args=(endpoint, *_address(endpoint, variables)), daemon=True).start()

    def why_not(self, endpoint: str, cancelled: threading.Event) -> str | None:
        """None when it can be reached."""
        tried = self._tried[endpoint]
        while not tried.wait(_POLL_SECONDS):
            if time.monotonic() >= self._deadline or cancelled.is_set():
                return f"no answer within {self._seconds:g} s"
        return self._reasons.get(endpoint)

    def _try(self, endpoint: str, host: str, port: int) -> None:
        try:
            socket.create_connection((host, port), timeout=self._seconds).close()
        except (OSError, UnicodeError) as error:  # UnicodeError: what cannot be a host's name
            self._reasons[endpoint] = getattr(error, "strerror", None) or str(error)
        self._tried[endpoint].set()


def host_of(endpoint: str) -> str:
    return urlsplit(endpoint).netloc


def _address(endpoint: str, variables: Mapping[str, str]) -> tuple[str, int]:
    parts = urlsplit(endpoint)
    proxies = {
        name.lower().removesuffix("_proxy"): value
        for name, value in variables.items()
        if name.lower().endswith("_proxy") and value
    }
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass_environment(parts.netloc, proxies):  # type: ignore[attr-defined]
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or {"https": 443, "socks5": 1080, "socks5h": 1080}.get(parts.scheme, 80)
