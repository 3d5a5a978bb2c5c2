"""The door of a worker whose gateway is on another machine: relays an allow-list of paths to its engine.

Engines listen on loopback only, since not every engine's key covers all its routes. For each interface that reaches a
gateway there is one listener, on a port of the system's choice unless the user chose one. It wants the engine's key and
streams what passes; a gateway that calls back before it takes the worker is answered here too (protocol/join.py).
Gateways on this machine go straight to the engine, without this hop, unless the user chose a port or an address.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from argosy.errors import InputError, UpstreamError
from argosy.processes.ports import listener_of
from argosy.protocol.heartbeat import SIGNATURE_HEADER, is_signed
from argosy.protocol.join import CALLBACK_PATH, NONCE_HEADER, CalledBack, called_proof, caller_proof
from argosy.protocol.replica import JoinSettings
from argosy.telemetry.logging import EventLog
from argosy.wire.client import Client
from argosy.wire.origin import is_own, split_url
from argosy.wire.serving import Server, server_of

_HEAD_SECONDS = 3600.0  # the gateway has the real time limits, and leaves when one is over
_PASSED_ON = (b"content-type", b"content-encoding", b"retry-after", b"x-request-id")
_LARGEST_BODY_BYTES = 1 << 30  # as the largest gateway.max_body_mib

_log = EventLog("worker")


@dataclass(frozen=True)
class Target:
    """The engine behind the listeners, in its present incarnation."""

    address: str
    key: str = field(repr=False)
    paths: frozenset[str]


class Listeners:
    """All listeners of one worker, made when a gateway needs one."""

    def __init__(
        self,
        client: Client,
        target: Callable[[], Target | None],
        *,
        replica: str,
        join_token: str,
        settings: JoinSettings | None = None,
    ) -> None:
        self._app = relay(client, target, replica=replica, join_token=join_token)
        self._settings = settings or JoinSettings()
        self._interfaces: dict[str, str | None] = {}  # gateway → our address towards it; None: on this machine
        self._listeners: dict[str, tuple[int, Server, asyncio.Task[None]]] = {}

    async def address_for(self, gateway: str, engine_address: str) -> str:
        """Where that gateway reaches the engine. Raises OSError for a gateway that cannot be resolved or routed to."""
        interface = await self._interface(gateway)
        if interface is None and self._settings == JoinSettings():
            return engine_address
        return self._address(interface)

    async def door_for(self, gateway: str) -> str:
        """Where that gateway calls this worker back. Raises OSError, and InputError for a port that is taken."""
        return self._address(await self._interface(gateway))

    def address_on(self, interface: str) -> str:
        """The listener on that address of ours, opened at the first call."""
        return f"http://{_bracketed(interface)}:{self._port_on(interface)}"

    async def _interface(self, gateway: str) -> str | None:
        if gateway not in self._interfaces:
            self._interfaces[gateway] = await _interface_towards(gateway)
        return self._interfaces[gateway]

    def _address(self, interface: str | None) -> str:
        interface = interface or "127.0.0.1"
        if self._settings.advertise is None:
            return self.address_on(interface)
        parts = urlsplit(self._settings.advertise)
        host = parts.hostname or ""
        port = self._port_on(host if is_own(host) else interface)
        return f"http://{_bracketed(host)}:{parts.port or port}"

    def _port_on(self, interface: str) -> int:
        if interface not in self._listeners:
            self._listeners[interface] = self._listen(interface)
        return self._listeners[interface][0]

    async def close(self) -> None:
        for _, server, task in self._listeners.values():
            server.should_exit = server.force_exit = True
            await task
        self._listeners.clear()

    def _listen(self, interface: str) -> tuple[int, Server, asyncio.Task[None]]:
        try:
            opened = socket.create_server(
                (interface, self._settings.port),
                family=socket.AF_INET6 if ":" in interface else socket.AF_INET,
                backlog=2048,
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            port = self._settings.port
            raise InputError(
                f"port {port} on {interface} is in use{listener_of(port)}: give this worker another --port (0 takes a"
                " free one), or stop that"
            ) from None
        port = opened.getsockname()[1]
        server = server_of(self._app, grace_seconds=1)
        task = asyncio.create_task(server.serve(sockets=[opened]), name=f"listener {interface}:{port}")
        _log.info("listener.open", address=f"http://{_bracketed(interface)}:{port}")
        return port, server, task


def relay(client: Client, target: Callable[[], Target | None], *, replica: str, join_token: str) -> ASGIApp:
    """The ASGI app of a listener."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == CALLBACK_PATH:
            await _call_back(dict(scope["headers"]), send, replica=replica, join_token=join_token)
            return
        engine = target()
        if engine is None:
            await _refuse(send, 503, "no engine runs behind this listener now")
            return
        sent = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(sent, f"Bearer {engine.key}".encode()):
            await _refuse(send, 401, "wrong key")
        elif scope["path"] not in engine.paths:
            await _refuse(send, 404, f"{scope['path']} is not passed on")
        else:
            body = await _read(receive)
            if body is None:
                await _refuse(send, 413, "the request is too large")
                return
            # A gateway that leaves cancels this task: the connection to the engine closes, which gives its slot free.
            await _pass_on(client, engine, scope, body, send)

    return app


async def _call_back(headers: Mapping[bytes, bytes], send: Send, *, replica: str, join_token: str) -> None:
    """Tells a gateway of the fleet who we are, and nobody else."""
    nonce, proof = (headers.get(name.encode(), b"").decode("latin-1") for name in (NONCE_HEADER, SIGNATURE_HEADER))
    if not nonce or not is_signed(proof, caller_proof(nonce, join_token)):
        await _refuse(send, 401, "this call is not signed with our join token")
        return
    body = msgspec.json.encode(CalledBack(replica=replica))
    signature = called_proof(nonce, replica, join_token).encode()
    headers_sent = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (SIGNATURE_HEADER.encode(), signature),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers_sent})
    await send({"type": "http.response.body", "body": body})


async def _pass_on(client: Client, engine: Target, scope: Scope, body: bytes, send: Send) -> None:
    headers = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name in _PASSED_ON
    }
    headers["authorization"] = f"Bearer {engine.key}"
    url, started = f"{engine.address}{scope['path']}", False
    try:
        async with client.stream(scope["method"], url, headers=headers, body=body, seconds=_HEAD_SECONDS) as answer:
            passed = [
                (name, value.encode("latin-1"))
                for name in (*_PASSED_ON, b"cache-control", b"content-length")
                if (value := answer.headers.get(name.decode())) is not None
            ]
            started = True
            await send({"type": "http.response.start", "status": answer.status, "headers": passed})
            async for chunk in answer.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
    except UpstreamError as error:
        if not started:
            await _refuse(send, error.status, str(error))
        # Else: to return without the body's end breaks the connection off, which is what the gateway must see.


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or None when it is too large."""
    parts, size = [], 0
    while (message := await receive())["type"] == "http.request":
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > _LARGEST_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            break
    return b"".join(parts)


async def _refuse(send: Send, status: int, message: str) -> None:
    body = msgspec.json.encode({"error": {"message": message, "type": "server_error", "param": None, "code": None}})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _interface_towards(gateway: str) -> str | None:
    """Our address on the way to a gateway; None when it is on this machine. Asks the routing table, sends nothing."""
    origin, _ = split_url(gateway)
    found = await asyncio.get_running_loop().getaddrinfo(origin.host, origin.port, type=socket.SOCK_DGRAM)
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as way:
        way.connect(address)
        own = str(way.getsockname()[0])
    # The way to an address of our own comes from that very address.
    return None if ipaddress.ip_address(own.partition("%")[0]).is_loopback or own == address[0] else own
