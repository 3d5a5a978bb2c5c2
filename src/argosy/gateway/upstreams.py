"""From a replica to its connections: where it listens, with which key, under which path. One pool per incarnation."""

from __future__ import annotations

import re
from collections.abc import Coroutine, Mapping
from typing import Any

from argosy.errors import ConnectError, InputError
from argosy.protocol.heartbeat import engine_key
from argosy.registry.records import Replica
from argosy.wire.connection import Exchange
from argosy.wire.origin import proxy_for, split_url
from argosy.wire.pool import Guard, Pool

_HEADER_VALUE = re.compile(r"[\x21-\x7e]+")  # of a key: a line break would smuggle another header
CLIENT_BASE = "/v1"  # what stands before an endpoint's path at the door, and what a remote's URL ends in


class NoKeyError(ConnectError):
    """A remote's key is not in the gateway's environment: only another start of the gateway can help."""

    code = "no_upstream_key"


class Upstream:
    """How to talk to one incarnation of a replica."""

    __slots__ = ("_base", "_heads", "_key", "address", "epoch", "pool")

    def __init__(self, replica: Replica, key: str | None, proxies: Mapping[str, str] | None) -> None:
        self.address = replica.status.address
        self.epoch = replica.status.epoch
        if self.address is None:
            raise ConnectError("it has told no address")
        origin, path = split_url(self.address)
        self._base = path.rstrip("/").removesuffix(CLIENT_BASE) if replica.remote else path.rstrip("/")
        self._key = key
        self._heads: dict[str, bytes] = {}
        self.pool = Pool(origin, proxy=proxy_for(origin, proxies) if proxies is not None else None)

    def post(
        self,
        path: str,
        body: bytes,
        request_id: bytes,
        connect_seconds: float,
        guard: Guard | None = None,
        *,
        may_resend: bool = True,
        more: bytes = b"",
    ) -> Coroutine[Any, Any, Exchange]:
        """Sends a request to an endpoint and waits for its answer's head; errors as Pool.exchange raises them.

        `more`: further header lines."""
        head = self._heads.get(path)
        if head is None:
            head = self._heads[path] = self._head("POST", path) + b"content-type: application/json\r\nx-request-id: "
        head = b"%b%b\r\n%bcontent-length: %d\r\n\r\n" % (head, request_id, more, len(body))
        return self.pool.exchange(head, body, connect_seconds, guard, may_resend=may_resend)

    async def get(self, path: str, connect_seconds: float) -> Exchange:
        return await self.pool.exchange(self._head("GET", path) + b"\r\n", b"", connect_seconds)

    def _head(self, method: str, path: str) -> bytes:
        target = f"{self.pool.target_prefix}{self._base}{path}"
        key = f"authorization: Bearer {self._key}\r\n" if self._key else ""
        host = self.pool.origin.authority
        return f"{method} {target} HTTP/1.1\r\nhost: {host}\r\nuser-agent: argosy\r\naccept: */*\r\n{key}".encode(
            "latin-1"
        )


class Upstreams:
    """All of them. `variables`: the environment, for remotes' keys and the proxies that remotes alone go through."""

    def __init__(self, join_token: str, variables: Mapping[str, str]) -> None:
        self._join_token = join_token
        self._variables = variables
        self._known: dict[str, Upstream] = {}

    def of(self, replica: Replica) -> Upstream:
        """Raises ConnectError where there is no way to it: no address, no key in the environment."""
        known = self._known.get(replica.id)
        status = replica.status
        if known is not None and known.epoch == status.epoch and known.address == status.address:
            return known
        if known is not None:
            known.pool.close()
        self._known[replica.id] = known = self._make(replica)
        return known

    def forget(self, keep: Mapping[str, Replica]) -> None:
        """Closes connections to replicas that are no more."""
        for replica in [known for known in self._known if known not in keep]:
            self._known.pop(replica).pool.close()

    def close(self) -> None:
        self.forget({})

    def _make(self, replica: Replica) -> Upstream:
        try:
            return self._upstream(replica)
        except InputError as error:  # its address, or the proxy that the environment names for it
            raise ConnectError(f"there is no way to {replica.id}: {error}") from None

    def _upstream(self, replica: Replica) -> Upstream:
        if replica.remote is None:
            return Upstream(replica, engine_key(self._join_token, replica.id, replica.status.epoch), None)
        variable = replica.remote.api_key_env
        if variable and not self._variables.get(variable):
            raise NoKeyError(f"it needs its key in the environment variable {variable}, which is not set")
        key = self._variables[variable] if variable else None
        if key is not None and not _HEADER_VALUE.fullmatch(key):
            raise NoKeyError(f"its key in the environment variable {variable} has characters that no header may hold")
        return Upstream(replica, key, self._variables)
