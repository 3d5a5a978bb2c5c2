"""A whole gateway on a free port, and what a test asks of it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import msgspec
import uvicorn
from uvicorn.server import ServerState

from argosy.app.composition import compose_gateway
from argosy.app.settings import ArenaSettings, GatewaySecrets, GatewaySettings
from argosy.config.client_keys import ClientKey, numbered
from argosy.gateway.call import Call, Visit
from argosy.gateway.keys import ClientKeys
from argosy.protocol import heartbeat as beat
from argosy.protocol.admin import FleetTable, ReplicaView
from argosy.protocol.deployment import DeploymentRecord, Timeouts
from argosy.protocol.endpoints import CHAT
from argosy.wire.client import Answer, Client
from argosy.wire.server import HttpProtocol
from argosy.wire.tls import fingerprint, server_context
from engines import events_of
from voices import WorkerVoice
from waiting import eventually

if TYPE_CHECKING:
    from argosy.telemetry.otlp import Otlp

ADMIN_KEY, JOIN_TOKEN = "the-admin-key", "the-join-token"
ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
SECONDS = 5.0
MESSAGES = [{"role": "user", "content": "hi"}]


def record(name: str = "m", *, limits: Mapping[str, float] | None = None, **fields: Any) -> DeploymentRecord:
    return DeploymentRecord(name=name, revision=1, timeouts=Timeouts(**(limits or {})), **fields)


class Listening(Protocol):
    """An engine, ours or a real one."""

    @property
    def address(self) -> str: ...


class Door:
    """`async with Door() as door`. `calls`: every request to the OpenAI surface that has ended; `visits`: the others
    that leave a line in the log."""

    def __init__(
        self,
        *,
        client_keys: Sequence[str] | Mapping[str, ClientKey] = (),
        allowed_hosts: Sequence[str] = (),
        max_body_bytes: int = 1024 * 1024,
        table: FleetTable | None = None,
        variables: Mapping[str, str] | None = None,
        cors_origins: Sequence[str] = (),
        trusted_proxies: Sequence[str] = (),
        comment_seconds: float = 15,
        tls: Path | None = None,
        page: Path = Path("/nowhere"),
        arena: ArenaSettings | None = None,
        otlp: Otlp | None = None,
        on_table: Callable[[FleetTable], None] | None = None,
    ) -> None:
        """`tls`: a PEM file with certificate and key. `page`: the folder of the built page."""
        self._tls = server_context(str(tls), str(tls)) if tls else None
        self.calls: list[Call] = []
        self.visits: list[Visit] = []
        self.tables: list[FleetTable] = []  # as kept for the next start
        self.client = Client(pins=lambda _: fingerprint(str(tls)) if tls else None)
        self.gateway = compose_gateway(
            GatewaySettings(
                host="127.0.0.1",
                port=0,
                client_keys=ClientKeys(client_keys if isinstance(client_keys, Mapping) else numbered(client_keys)),
                allowed_hosts=tuple(allowed_hosts),
                max_body_bytes=max_body_bytes,
                grace_seconds=1,
                table=table or FleetTable(revision=0),
                cors_origins=tuple(cors_origins),
                trusted_proxies=tuple(trusted_proxies),
                arena=arena,
            ),
            GatewaySecrets(admin_key=ADMIN_KEY, join_token=JOIN_TOKEN),
            variables or {},
            on_end=self.calls.extend,
            on_visit=self.visits.append,
            on_table=on_table or self.tables.append,
            comment_seconds=comment_seconds,
            batch=1,
            page=page,
            otlp=otlp,
        )
        self.registry = self.gateway.registry
        self.dispatcher = self.gateway.fleet.dispatcher
        self.voices: dict[str, WorkerVoice] = {}
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        config = uvicorn.Config(self.gateway, interface="asgi3", log_config=None, proxy_headers=False)
        config.load()
        self._state = ServerState()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(config, self._state, {}), sock=socket.create_server(("127.0.0.1", 0)), ssl=self._tls
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        self._tables = asyncio.create_task(self.gateway.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.close()
        for writer in self._writers:
            writer.transport.abort()
        self._server.close()
        await self.stop_requests()
        for connection in list(self._state.connections):
            connection.shutdown()
        broken = self._tables.done()
        self._tables.cancel()
        results = await asyncio.gather(self._tables, return_exceptions=True)
        assert not broken, f"the gateway's tables are kept no more: {results}"
        if error is None:  # what holds after every test
            held = {view.id: view.in_flight for view in self.registry.views() if view.in_flight}
            assert not held, f"leases that were never released: {held}"

    async def stop_requests(self) -> None:
        """What a stopping server does with requests that still run when the grace period is over."""
        for task in list(self._state.tasks):
            task.cancel()
        await eventually(lambda: not self._state.tasks)

    # as a client

    async def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """`body`: bytes as they are, anything else as JSON."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.request(method, self.url + path, headers=headers, body=data, seconds=SECONDS)

    async def chat(self, model: str = "m", *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        body = {"model": model, "messages": MESSAGES, **fields}
        return await self.request("POST", CHAT, body, headers)

    async def streamed(self, model: str = "m", **fields: Any) -> Sequence[Any]:
        """The events of a streamed chat, to its end."""
        answer = await self.chat(model, stream=True, **fields)
        assert answer.status == 200, answer.body
        return events_of(answer.body)

    async def say(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that has sent these bytes: for what no well-behaved client sends. Closed with the door."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        writer.write(data)
        await writer.drain()
        return reader, writer

    async def ask(
        self, model: str = "m", *, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A chat on a connection that the test holds, to read it slowly or to leave."""
        return await self.say(chat_bytes({"model": model, "messages": MESSAGES, **fields}, headers=headers or {}))

    # as a worker

    async def join(
        self, engine: Listening, replica: str = "m.0", *, deployment: DeploymentRecord | None = None, **fields: Any
    ) -> beat.HeartbeatAnswer:
        """The replica is served by this engine from now on; `fields` are of its ReplicaStatus."""
        fields = {"address": engine.address, "concurrency": 100, **fields}
        voice = self.voices[replica] = WorkerVoice(replica, deployment or record(replica.rpartition(".")[0]), **fields)
        return await self.tell(voice.beat())

    async def again(self, replica: str = "m.0", **changes: Any) -> beat.HeartbeatAnswer:
        """The next heartbeat of a replica that has joined."""
        return await self.tell(self.voices[replica].beat(**changes))

    async def tell(self, heartbeat: beat.Heartbeat) -> beat.HeartbeatAnswer:
        body = msgspec.json.encode(heartbeat)
        headers = {beat.SIGNATURE_HEADER: beat.sign(body, JOIN_TOKEN)}
        answer = await self.request("POST", beat.PATH, body, headers)
        assert answer.status == 200, answer.body
        return msgspec.json.decode(answer.body, type=beat.HeartbeatAnswer)

    # as the controller

    async def push(self, table: FleetTable) -> Answer:
        return await self.request("PUT", "/argosy/v1/table", msgspec.json.encode(table), ADMIN)

    async def replicas(self) -> dict[str, ReplicaView]:
        answer = await self.request("GET", "/argosy/v1/replicas", headers=ADMIN)
        return {view.id: view for view in msgspec.json.decode(answer.body, type=list[ReplicaView])}

    def in_flight(self, replica: str = "m.0") -> int:
        return self.registry.replicas[replica].in_flight


def chat_bytes(
    fields: Mapping[str, Any], *, host: str = "localhost", headers: Mapping[str, str] | None = None
) -> bytes:
    body = json.dumps(fields).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return b"POST %b HTTP/1.1\r\nhost: %b\r\n%bcontent-length: %d\r\n\r\n%b" % (
        CHAT.encode(),
        host.encode(),
        more.encode(),
        len(body),
        body,
    )


def error_of(answer: Answer) -> Any:
    """What stands in OpenAI's envelope."""
    return json.loads(answer.body)["error"]
