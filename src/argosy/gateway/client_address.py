"""Which address a request comes from: its connection's, or what a proxy that is trusted says in X-Forwarded-For."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable

UNKNOWN = "unknown"


class ClientAddresses:
    """`trusted_proxies`: networks such as 10.0.0.0/8; what anybody else writes into the header counts for nothing."""

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        self._networks = [ipaddress.ip_network(each, strict=False) for each in trusted_proxies]
        self._trusted = functools.lru_cache(1024)(self._is_trusted)

    def of(self, client: tuple[str, int] | None, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """By the address that a connection comes from, and a request's headers."""
        address = client[0] if client is not None else UNKNOWN
        return self._forwarded(address, headers) if self._networks and self._trusted(address) else address

    def _forwarded(self, address: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The last one that no trusted proxy has: each adds who it was called by at the end, and what stands further
        in front may be anybody's invention."""
        lines = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
        for entry in reversed(",".join(lines).split(",")):
            try:
                address = str(ipaddress.ip_address(_without_port(entry.strip())))
            except ValueError:
                return address  # no address: nothing in front of it can be believed either
            if not self._trusted(address):
                return address
        return address

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _without_port(entry: str) -> str:
    """Some proxies write 10.0.0.1:4711 or [::1]:4711."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
