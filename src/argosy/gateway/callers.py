"""Who sent a request that is none of the hot paths: auth.py's answer for its headers and its connection."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from argosy.gateway.auth import Gatekeeper, Principal
from argosy.gateway.client_address import ClientAddresses


@dataclass(frozen=True)
class Callers:
    gatekeeper: Gatekeeper
    addresses: ClientAddresses

    def principal(self, request: Request) -> Principal:
        """Raises UnauthorizedError, ForbiddenError."""
        return self.who(request.scope["client"], request.headers.raw)[0]

    def who(self, client: tuple[str, int] | None, headers: list[tuple[bytes, bytes]]) -> tuple[Principal, str]:
        """And from which address; names of headers are in lower case. Raises UnauthorizedError, ForbiddenError."""
        fields = dict(headers)
        authorization, host, origin = (fields.get(name, b"") for name in (b"authorization", b"host", b"origin"))
        address = self.addresses.of(client, headers)
        return self.gatekeeper.client(authorization, host, origin, address, headers), address
