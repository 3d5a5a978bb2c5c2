"""Who sent a request that is none of the hot paths: auth.py's answer for one of Starlette's."""

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
        authorization, host, origin = (
            request.headers.get(name, "").encode("latin-1") for name in ("authorization", "host", "origin")
        )
        address = self.addresses.of(request.scope["client"], request.headers.raw)
        return self.gatekeeper.client(authorization, host, origin, address, request.headers.raw)
