"""Who asks: from a request's headers to a Principal. Three credentials, never mixed:

client keys open the OpenAI surface, the admin key the fleet's actions, the join token signs heartbeats (see admin.py).
Where no client key is asked the door is open to this machine only: then a browser's page from elsewhere is kept out by
the names in Host and Origin (DNS rebinding, cross-site requests). Owns which keys hold now, and what each has used.
"""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from argosy.config.client_keys import ClientKey
from argosy.errors import ForbiddenError, UnauthorizedError
from argosy.gateway.limits import Meter

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
Headers = Iterable[tuple[bytes, bytes]]
_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request is counted for: a client key, or the address of a client that needs none."""

    name: str
    models: re.Pattern[str] | None = None  # None: all
    meter: Meter | None = None  # None: no limits

    def may_use(self, model: str, deployment: str) -> bool:
        """Whether its key is for that model: by the name that was sent, or its deployment's."""
        return self.models is None or bool(self.models.match(model) or self.models.match(deployment))


def host_name(authority: str) -> str:
    """A Host header without its port, in lower case: `Localhost:8000` → `localhost`, `[::1]:8000` → `[::1]`."""
    authority = authority.strip().lower()
    if authority.startswith("["):
        return authority.partition("]")[0] + "]"
    if authority.count(":") > 1:  # a bare IPv6 address, as gateway.host may be one
        return f"[{authority}]"
    return authority.partition(":")[0]


class Gatekeeper:
    """Checks a request's credentials.

    `keys`: None asks for none. `own_names`: what the door goes by without being told. `allowed_hosts`: names besides,
    and from then on no others, also with a key. `origins`: of pages that may call (see cors.py).
    """

    def __init__(
        self,
        keys: Mapping[str, ClientKey] | None,
        admin_key: str,
        own_names: Iterable[str],
        *,
        allowed_hosts: Collection[str] = (),
        origins: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admin_key = admin_key.encode()
        self._hosts = LOOPBACK_NAMES | {host_name(host) for host in (*own_names, *allowed_hosts)}
        self._origins = frozenset(origins)
        self._clock = clock
        self.wants_key = False
        self._wants_name = bool(allowed_hosts) or keys is None
        self._named = bool(allowed_hosts)
        # Keys are looked up by their digest: how long a look-up takes tells nothing about a key.
        self._principals: dict[bytes, Principal] = {}
        # Headers as they came that were found good before. A dict compares only what has the same (randomised) hash, so
        # a look-up here tells no more about a key than one by digest does. Both are bounded by what is good.
        self._admitted: dict[bytes, Principal] = {}
        self._known_hosts: set[bytes] = set()
        self._addresses: dict[str, Principal] = {}
        self._meters: dict[str, Meter] = {}
        if keys is not None:
            self.take(keys)

    def take(self, keys: Mapping[str, ClientKey]) -> None:
        """From now on these keys hold, and no others. What a name has used under its limits stays used."""
        self._principals = {bytes.fromhex(key.sha256): self._principal(name, key) for name, key in keys.items()}
        self._meters = {name: meter for name, meter in self._meters.items() if name in keys and keys[name].limited}
        self._admitted = {}
        self.wants_key = True
        self._wants_name = self._named

    def client(self, authorization: bytes, host: bytes, origin: bytes, address: str, headers: Headers) -> Principal:
        """The principal of a request to the OpenAI surface. Raises UnauthorizedError, ForbiddenError.

        `headers`: all of them, where one that is seldom sent is looked for.
        """
        if self._wants_name and (host not in self._known_hosts or origin):
            self._check_names(host, origin)
        if not self.wants_key:
            return self._addresses.get(address) or self._of_address(address)
        if (known := self._admitted.get(authorization)) is not None:
            return known
        scheme, _, key = authorization.partition(b" ")
        bearer = scheme.lower() == b"bearer"
        if not bearer:
            key = next((value for name, value in headers if name == b"x-api-key"), b"")
        if (key := key.strip()) and (found := self._principals.get(_digest(key))):
            if bearer and len(self._admitted) < _MOST_KNOWN:
                self._admitted[authorization] = found
            return found
        if not (authorization or key):
            raise UnauthorizedError("You didn't provide an API key: send it as 'Authorization: Bearer KEY'.")
        raise UnauthorizedError("Incorrect API key provided.")

    def check_admin(self, authorization: bytes) -> None:
        """Raises UnauthorizedError unless the admin key was sent."""
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(key.strip(), self._admin_key):
            raise UnauthorizedError("This wants the admin key, as 'Authorization: Bearer KEY'.")

    def check_host(self, host: bytes) -> None:
        """What is public, too, is answered only under the door's own names. Raises ForbiddenError."""
        if self._wants_name and host not in self._known_hosts:
            self._check_names(host, b"")

    def check_metrics(self, authorization: bytes, host: bytes, origin: bytes) -> None:
        """The admin key; nothing where the door is open to this machine. Raises UnauthorizedError, ForbiddenError."""
        if self.wants_key:
            self.check_admin(authorization)
        else:
            self._check_names(host, origin)

    def _principal(self, name: str, key: ClientKey) -> Principal:
        meter = None
        if key.limited:
            meter = self._meters.setdefault(name, Meter())
            limits = key.requests_per_minute, key.tokens_per_minute, key.concurrent_requests
            meter.limit(*limits, self._clock())
        models = None if key.models is None else re.compile("|".join(map(fnmatch.translate, key.models)))
        return Principal(name, models, meter)

    def _of_address(self, address: str) -> Principal:
        if len(self._addresses) >= _MOST_KNOWN:
            self._addresses.clear()
        made = self._addresses[address] = Principal(address)
        return made

    def _check_names(self, host: bytes, origin: bytes) -> None:
        name = host_name(host.decode("latin-1"))
        if name not in self._hosts:
            raise ForbiddenError(
                f"This door is not called {name!r}: set gateway.allowed_hosts or a client key.", code="wrong_host"
            )
        if origin and not self.wants_key:
            page = origin.decode("latin-1")
            if host_name(page.partition("://")[2]) not in self._hosts and not {page.lower(), "*"} & self._origins:
                raise ForbiddenError(
                    f"Pages from {host_name(page.partition('://')[2])!r} may not call this door: set a client key.",
                    code="wrong_origin",
                )
        if len(self._known_hosts) < 100:
            self._known_hosts.add(host)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
