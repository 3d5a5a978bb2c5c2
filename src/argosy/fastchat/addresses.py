"""Who may speak to the FastChat listener, and where it may speak to: old processes can send no key, so networks count.

A worker's URL is resolved once, when it registers; from then on the address that was checked is used, not the name.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
from collections.abc import Iterable

from argosy.errors import BadRequestError, ForbiddenError, InputError
from argosy.wire.origin import split_url


class Allowed:
    """`networks`: such as 10.0.0.0/8, checked values of the fleet file."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(each, strict=False) for each in networks]
        self.has = functools.lru_cache(1024)(self._has)

    def check_peer(self, address: str) -> None:
        """Raises ForbiddenError."""
        if not self.has(address):
            raise ForbiddenError(
                f"{address} is in none of the networks of fastchat.allow ({self}): add it there to let it in."
            )

    async def checked(self, url: str) -> str:
        """A worker's URL with its address in the host's place. Raises BadRequestError, ForbiddenError."""
        try:
            origin, path = split_url(url)
        except InputError as error:
            raise BadRequestError(f"worker_name: {error}") from None
        if origin.scheme != "http" or path.rstrip("/"):
            raise BadRequestError(f"worker_name: {url!r} is no address that is known here: write http://HOST:PORT")
        try:
            found = await asyncio.get_running_loop().getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise BadRequestError(f"worker_name: {origin.host!r} has no address ({error})") from None
        addresses = [str(each[4][0]) for each in found]
        if strangers := [each for each in addresses if not self.has(each)]:
            raise ForbiddenError(
                f"worker_name: {url} is at {', '.join(strangers)}, in none of the networks of fastchat.allow ({self})."
            )
        # FastChat's workers listen on one family only, by default on what `localhost` means first.
        address = next((each for each in addresses if ":" not in each), addresses[0])
        return f"http://[{address}]:{origin.port}" if ":" in address else f"http://{address}:{origin.port}"

    def __str__(self) -> str:
        return ", ".join(map(str, self._networks))

    def _has(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)
