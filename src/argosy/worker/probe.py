"""Asks an engine how it is: can it serve, does it live, is the listener on that port really it. Decides nothing."""

from __future__ import annotations

import contextlib
import enum
import secrets
import socket
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from argosy.errors import UpstreamError
from argosy.wire.client import Client

_READY_SECONDS = 5.0


class Listener(enum.Enum):
    """Whose listener answers on an engine's port."""

    OURS = "ours"
    STRANGER = "stranger"
    UNKNOWN = "unknown"  # nobody can be seen on the port, and whoever answers there takes any key


@dataclass(frozen=True)
class Probe:
    """Of one engine at one address."""

    client: Client
    address: str  # http://127.0.0.1:port
    health: str  # path
    key: str

    async def can_serve(self) -> bool:
        """Whether GET health answers 200."""
        return await self._status(self.health, self.key, _READY_SECONDS) == 200

    async def answers(self, seconds: float) -> bool:
        """Whether it answers anything at all: a 503 is a sign of life."""
        return await self._status(self.health, self.key, seconds) is not None

    async def listener(self, pids: Sequence[int]) -> Listener:
        """By who listens on the port, seen from the system; else by which keys it takes."""
        port = urllib.parse.urlsplit(self.address).port or 0
        if any(_listens(pid, port) for pid in pids):
            return Listener.OURS
        if _somebody_listens(port):
            return Listener.STRANGER
        # The listener may be a process that cannot be looked into: of another user, a container's for one.
        right = await self._status("/v1/models", self.key, _READY_SECONDS)
        if right in (401, 403):
            return Listener.STRANGER
        wrong = await self._status("/v1/models", secrets.token_hex(16), _READY_SECONDS)
        return Listener.OURS if right == 200 and wrong in (401, 403) else Listener.UNKNOWN

    async def _status(self, path: str, key: str, seconds: float) -> int | None:
        headers = {"authorization": f"Bearer {key}"}
        try:
            answer = await self.client.request("GET", f"{self.address}{path}", headers=headers, seconds=seconds)
        except UpstreamError:
            return None
        return answer.status


def free_port() -> int:
    """A port of loopback that is free now. It can be taken before the engine binds it: then choose again."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port


def port_is_taken(port: int) -> bool:
    """Whether somebody listens there on loopback."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger do not count
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _somebody_listens(port: int) -> bool:
    """Whether a process that can be looked into has that port of loopback or of all interfaces."""
    with contextlib.suppress(psutil.Error):
        return any(
            connection.pid is not None
            and connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.laddr.ip in ("127.0.0.1", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
            for connection in psutil.net_connections("tcp")
        )
    return False


def _listens(pid: int, port: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            for connection in psutil.Process(pid).net_connections("tcp")
        )
    return False
