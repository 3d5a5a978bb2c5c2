"""Who asks: from a request's headers to a Principal. Three credentials, never mixed:

client keys open the OpenAI surface, the admin key the fleet's actions, the join token signs heartbeats (see admin.py).
Where no client key is set the door is open to this machine only: then a browser's page from elsewhere is kept out by
the names in Host and Origin (DNS rebinding, cross-site requests).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from argosy.errors import ForbiddenError, UnauthorizedError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request is counted for."""

    name: str


ANYBODY = Principal("anybody")


def host_name(authority: str) -> str:
    """A Host header without its port, in lower case: `Localhost:8000` → `localhost`, `[::1]:8000` → `[::1]`."""
    authority = authority.strip().lower()
    if authority.startswith("["):
        return authority.partition("]")[0] + "]"
    if authority.count(":") > 1:  # a bare IPv6 address, as gateway.host may be one
        return f"[{authority}]"
    return authority.partition(":")[0]


class Gatekeeper:
    """Checks a request's credentials. `hosts`: names the door goes by, asked for where no client key is set."""

    def __init__(self, client_keys: Iterable[str], admin_key: str, hosts: Iterable[str]) -> None:
        # Keys are looked up by their digest: how long a look-up takes tells nothing about a key.
        self._principals = {_digest(key.encode()): Principal(f"key-{n}") for n, key in enumerate(client_keys, 1)}
        self.wants_key = bool(self._principals)
        self._admin_key = admin_key.encode()
        self._hosts = LOOPBACK_NAMES | {host_name(host) for host in hosts}
        # Headers as they came that were found good before. A dict compares only what has the same (randomised) hash, so
        # a look-up here tells no more about a key than one by digest does. Both are bounded by what is good.
        self._admitted: dict[bytes, Principal] = {}
        self._known_hosts: set[bytes] = set()

    def client(self, authorization: bytes, host: bytes, origin: bytes) -> Principal:
        """The principal of a request to the OpenAI surface. Raises UnauthorizedError, ForbiddenError."""
        if not self._principals:
            if host not in self._known_hosts or origin:
                self._check_names(host, origin)
            return ANYBODY
        if (known := self._admitted.get(authorization)) is not None:
            return known
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() == b"bearer" and (found := self._principals.get(_digest(key.strip()))):
            if len(self._admitted) < 10_000:
                self._admitted[authorization] = found
            return found
        if not authorization:
            raise UnauthorizedError("You didn't provide an API key: send it as 'Authorization: Bearer KEY'.")
        raise UnauthorizedError("Incorrect API key provided.")

    def check_admin(self, authorization: bytes) -> None:
        """Raises UnauthorizedError unless the admin key was sent."""
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(key.strip(), self._admin_key):
            raise UnauthorizedError("This wants the admin key, as 'Authorization: Bearer KEY'.")

    def check_metrics(self, authorization: bytes, host: bytes, origin: bytes) -> None:
        """The admin key; nothing where the door is open to this machine. Raises UnauthorizedError, ForbiddenError."""
        if self.wants_key:
            self.check_admin(authorization)
        else:
            self._check_names(host, origin)

    def _check_names(self, host: bytes, origin: bytes) -> None:
        name = host_name(host.decode("latin-1"))
        if name not in self._hosts:
            raise ForbiddenError(
                f"This door is not called {name!r}: set gateway.allowed_hosts or a client key.", code="wrong_host"
            )
        if origin:
            page = host_name(origin.decode("latin-1").partition("://")[2])
            if page not in self._hosts:
                raise ForbiddenError(
                    f"Pages from {page!r} may not call this door: set a client key.", code="wrong_origin"
                )
        if len(self._known_hosts) < 100:
            self._known_hosts.add(host)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
