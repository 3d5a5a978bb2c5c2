"""The fleet's own surface at the gateway, under /argosy/v1: heartbeats and logs from workers, the table from the
controller, orders to workers, and what is passed on to the controller. See protocol/admin.py, heartbeat.py and
replica_log.py there for the formats.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from argosy.dispatch.dispatcher import Dispatcher
from argosy.errors import (
    BadRequestError,
    NotFoundError,
    UnavailableError,
    UpstreamError,
)
from argosy.gateway.auth import Gatekeeper
from argosy.gateway.joining import Joining
from argosy.gateway.orders import Orders
from argosy.gateway.signed import check_age, check_names, signed_body
from argosy.protocol import heartbeat as beat
from argosy.protocol import replica_log
from argosy.protocol.admin import FleetTable, TableAnswer
from argosy.protocol.replica import ReplicaStatus
from argosy.registry.registry import Registry
from argosy.wire.client import Client
from argosy.wire.request_body import decoded, whole_body

REPLICAS_PATH = "/argosy/v1/replicas"
TABLE_PATH = "/argosy/v1/table"
FLEET_PATH = "/argosy/v1/fleet"
CONTROLLER_SECONDS = 60.0
_LINES = 50  # of a log, where nobody says how many

_HEARTBEAT = msgspec.json.Decoder(beat.Heartbeat)
_LOG_PART = msgspec.json.Decoder(replica_log.LogPart)
_TABLE = msgspec.json.Decoder(FleetTable)


@dataclass(frozen=True)
class FleetSurface:
    """Its routes, over what they need. `on_table` keeps a new table for the next start."""

    registry: Registry
    dispatcher: Dispatcher
    gatekeeper: Gatekeeper
    orders: Orders
    joining: Joining
    join_token: str
    client: Client
    clock: Callable[[], float]
    on_table: Callable[[FleetTable], None]
    rates: Callable[[], Mapping[str, float]]  # replica id → tokens per second

    def routes(self) -> list[Route]:
        return [
            Route(beat.PATH, self.heartbeat, methods=["POST"]),
            *self.joining.routes(),
            Route(TABLE_PATH, self.table, methods=["PUT"]),
            Route(REPLICAS_PATH, self.replicas, methods=["GET"]),
            Route("/argosy/v1/replicas/drain/{id:path}", self.drain, methods=["POST"]),
            Route(replica_log.PATH, self.log_part, methods=["POST"]),
            Route(f"{replica_log.PATH}/{{id:path}}", self.log, methods=["GET"]),
            Route(FLEET_PATH, self.pass_on, methods=["GET", "PUT"]),
            Route(f"{FLEET_PATH}/{{rest:path}}", self.pass_on, methods=["GET", "POST"]),
        ]

    async def close(self) -> None:
        await self.client.close()

    async def heartbeat(self, request: Request) -> Response:
        body = await signed_body(request, "heartbeat", self.join_token)
        told = decoded(_HEARTBEAT, body)
        check_age(told.seq, f"heartbeat of {told.status.id!r}")
        check_names(told.status.id, told.deployment.name, told.deployment.aliases)
        heard = self.registry.apply_heartbeat(told, self.clock())
        # Also for one that was overtaken by a later one: 0 would tell a draining worker that it may end.
        replica = self.registry.replicas.get(told.status.id)
        deployment = self.registry.find(told.deployment.name)
        commands, logs = self.orders.due(told.status) if heard is not None else ([], [])
        if deployment is not None and deployment.record.stopped:
            commands = [beat.Command.DRAIN, *commands]
        answer = beat.HeartbeatAnswer(
            gateways=self.registry.table.gateways,
            in_flight=replica.in_flight if replica is not None else 0,
            refused=replica.refused if replica is not None else "",
            commands=commands,
            logs=logs,
        )
        if not answer.asks:
            return as_json(answer)
        said = msgspec.json.encode(answer)
        headers = {beat.SIGNATURE_HEADER: beat.sign_answer(said, told.seq, self.join_token)}
        return Response(said, headers=headers, media_type="application/json")

    async def log_part(self, request: Request) -> Response:
        self.orders.take(decoded(_LOG_PART, await signed_body(request, "part of a log", self.join_token)))
        return as_json({})

    async def log(self, request: Request) -> Response:
        """As the worker has it in its file, whatever bytes an engine has written."""
        self._check_admin(request)
        worker = self._worker(request.path_params["id"])
        if (after := _number(request, "after")) is not None:
            part = await self.orders.log(worker, after=after)
        else:
            lines = _number(request, "lines")
            lines = _LINES if lines is None else min(lines, replica_log.MOST_LINES)
            part = await self.orders.log(worker, lines=lines)
        headers = {replica_log.END_HEADER: str(part.end), "x-content-type-options": "nosniff"}
        return Response(part.data, headers=headers, media_type="text/plain")

    async def drain(self, request: Request) -> Response:
        self._check_admin(request)
        now = request.query_params.get("now") == "1"
        worker = self._worker(request.path_params["id"])
        await self.orders.command(worker, beat.Command.STOP if now else beat.Command.DRAIN)
        return as_json({})

    async def table(self, request: Request) -> Response:
        self._check_admin(request)
        table = decoded(_TABLE, await whole_body(request))
        changed = table != self.registry.table
        if self.registry.apply_table(table, self.clock()) and changed:
            self.on_table(table)
        in_flight = {replica.id: replica.in_flight for replica in self.registry.replicas.values()}
        revision = self.registry.table.revision
        return as_json(TableAnswer(revision=revision, waiting=self.dispatcher.waiting(), in_flight=in_flight))

    async def replicas(self, request: Request) -> Response:
        self._check_admin(request)
        rates = self.rates()
        return as_json(
            [
                msgspec.structs.replace(view, tokens_per_second=round(rates.get(view.id, 0.0), 1))
                for view in self.registry.views()
            ]
        )

    async def pass_on(self, request: Request) -> Response:
        """To the controller, under its own address, with the admin key that it wants too."""
        self._check_admin(request)
        controller = self.registry.table.controller
        if controller is None:
            raise UnavailableError("This gateway runs without a controller: there is no fleet to change.")
        # As it came: a decoded path may hold what no request line may, and %2F would be lost.
        query = request.scope["query_string"].decode("latin-1")
        target = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        headers = {name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers}
        body = await whole_body(request)
        async with AsyncExitStack() as stack:
            try:
                answer = await stack.enter_async_context(
                    self.client.stream(
                        request.method,
                        f"{controller}{target}",
                        headers=headers,
                        body=body,
                        seconds=CONTROLLER_SECONDS,
                    )
                )
            except UpstreamError as error:
                raise UnavailableError(
                    f"The controller does not answer ({error}); what runs keeps running. `argosy up` starts another.",
                    code="controller_gone",
                ) from error
            rest = stack.pop_all()  # the answer outlives this handler: its chunks close it

        async def chunks() -> AsyncIterator[bytes]:
            async with rest:
                async for chunk in answer.chunks():
                    yield chunk

        kind = answer.headers.get("content-type", "application/json")
        return StreamingResponse(chunks(), answer.status, media_type=kind)

    def _worker(self, replica: str) -> ReplicaStatus:
        """What the worker of that replica said last. Raises NotFoundError, BadRequestError."""
        found = self.registry.replicas.get(replica)
        if found is None:
            known = ", ".join(self.registry.replicas) or "none"
            raise NotFoundError(f"No replica {replica!r} has joined this gateway; those that have: {known}.")
        if found.remote is not None:
            raise BadRequestError(f"{replica} is a remote: it has no worker here, and its log is where it runs.")
        return found.status

    def _check_admin(self, request: Request) -> None:
        self.gatekeeper.check_admin(request.headers.get("authorization", "").encode())


def _number(request: Request, name: str) -> int | None:
    """Of the query string, where it is there. Raises BadRequestError."""
    given = request.query_params.get(name)
    if given is None:
        return None
    if not re.fullmatch(r"\d{1,15}", given, re.ASCII):
        raise BadRequestError(f"?{name}= wants a whole number; got {given!r}.")
    return int(given)


def as_json(value: object) -> Response:
    """An answer of a struct, or of what holds some."""
    return Response(msgspec.json.encode(value), media_type="application/json")
