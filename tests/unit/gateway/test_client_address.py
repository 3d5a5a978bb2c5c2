from __future__ import annotations

import pytest

from argosy.gateway.client_address import ClientAddresses

TRUSTING = ClientAddresses(["10.0.0.0/8", "fd00::/8", "127.0.0.1"])


def told(addresses: ClientAddresses, peer: str | None, *forwarded: str) -> str:
    headers = [(b"host", b"x"), *((b"x-forwarded-for", each.encode()) for each in forwarded)]
    return addresses.of((peer, 4711) if peer else None, headers)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7", "10.9.9.9"], "203.0.113.7"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7:5000"], "203.0.113.7"),
        ("fd00::1", ["[2001:db8::1]:5000"], "2001:db8::1"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("10.0.0.1", ["6.6.6.6, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, unknown, 10.0.0.7"], "10.0.0.7"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("203.0.113.9", ["6.6.6.6"], "203.0.113.9"),
        (None, ["6.6.6.6"], "unknown"),
    ],
)
def test_only_a_trusted_proxy_says_who_asks(peer: str | None, forwarded: list[str], client: str) -> None:
    for _ in range(2):
        assert told(TRUSTING, peer, *forwarded) == client


def test_without_trusted_proxies_the_header_counts_for_nothing() -> None:
    assert told(ClientAddresses(), "10.0.0.1", "6.6.6.6") == "10.0.0.1"
