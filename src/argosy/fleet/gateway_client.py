"""A gateway's fleet surface as the command line talks to it: replicas that joined it, their logs, orders to workers."""

from __future__ import annotations

import urllib.parse

import msgspec

from argosy.errors import UpstreamError
from argosy.fleet.client import checked
from argosy.protocol import replica_log
from argosy.protocol.admin import ReplicaView
from argosy.telemetry.tail import Part
from argosy.wire.client import Answer, Client

_SECONDS = 2.0
_WORKER_SECONDS = 10.0  # the gateway waits for a heartbeat


class GatewayClient:
    """`address` and `admin_key`: of one gateway. Raises UpstreamError where it cannot be reached."""

    def __init__(self, client: Client, *, address: str, admin_key: str) -> None:
        self._client = client
        self._address = address
        self._headers = {"authorization": f"Bearer {admin_key}"}

    async def replicas(self) -> list[ReplicaView]:
        answer = await self._ask("GET", "/argosy/v1/replicas", _SECONDS)
        return msgspec.json.decode(answer.body, type=list[ReplicaView])

    async def drain(self, replica: str, *, now: bool) -> None:
        """Returns when its worker is being told."""
        path = f"/argosy/v1/replicas/drain/{urllib.parse.quote(replica)}"
        await self._ask("POST", f"{path}?now=1" if now else path, _WORKER_SECONDS)

    async def last_lines(self, replica: str, lines: int) -> Part:
        return await self._log(replica, f"lines={lines}")

    async def log_since(self, replica: str, offset: int) -> Part:
        return await self._log(replica, f"after={offset}")

    async def _log(self, replica: str, query: str) -> Part:
        path = f"{replica_log.PATH}/{urllib.parse.quote(replica)}?{query}"
        answer = await self._ask("GET", path, _WORKER_SECONDS)
        end = answer.headers.get(replica_log.END_HEADER, "")
        if not end.isdecimal():
            raise UpstreamError(f"{self._address} is no gateway of Argosy: its answer has no {replica_log.END_HEADER}")
        return Part(answer.body, int(end))

    async def _ask(self, method: str, path: str, seconds: float) -> Answer:
        answer = await self._client.request(method, f"{self._address}{path}", headers=self._headers, seconds=seconds)
        return checked(answer, "the gateway")
