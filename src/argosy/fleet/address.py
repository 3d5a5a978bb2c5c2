"""Addresses of gateways: whether one listens as its settings say, and how this machine reaches it. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from argosy.config.schema import Gateway


def is_wildcard(address: str) -> bool:
    """http://0.0.0.0:8000 is where a gateway listens, but no place to go to."""
    host = urlsplit(address).hostname or ""
    return _is_ip(host) and ipaddress.ip_address(host).is_unspecified


def is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)


def reachable(address: str) -> str:
    """The address as a process on the same machine uses it."""
    if not is_wildcard(address):
        return address
    parts = urlsplit(address)
    loopback = "[::1]" if ":" in (parts.hostname or "") else "127.0.0.1"
    return f"http://{loopback}:{parts.port}"


def port_of(address: str) -> int:
    return urlsplit(address).port or 80


def fits(address: str, settings: Gateway) -> bool:
    """Whether a gateway that listens at `address` listens where the settings want it. Port 0: anywhere will do."""
    if settings.port not in (0, port_of(address)):
        return False
    host, wanted = urlsplit(address).hostname or "", settings.host.strip("[]")
    if host == wanted or (is_loopback(host) and wanted == "localhost"):
        return True
    # A name may stand for the address that the gateway tells.
    return _is_ip(host) and not _is_ip(wanted) and wanted != "localhost"


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
