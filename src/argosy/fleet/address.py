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


def port_of(address: str) -> int:
    return urlsplit(address).port or 80
