"""Addresses of gateways as this machine uses them. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_wildcard(host: str) -> bool:
    """0.0.0.0 is where a gateway listens, but no place to go to."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def is_for_all(address: str, host: str) -> bool:
    """Whether workers on other machines reach a gateway there, or there can be none: a certificate is for a name, which
    the address is not."""
    parts = urlsplit(address)
    loopback = parts.hostname is not None and ipaddress.ip_address(parts.hostname).is_loopback
    return not is_wildcard(host) and (parts.scheme == "http" or loopback)


def port_of(address: str) -> int:
    return urlsplit(address).port or 80
