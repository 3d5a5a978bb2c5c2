"""The controller's own surface, on loopback: what protocol/admin.py lists under /argosy/v1/fleet.

Every route wants the admin key. Owns the translation between HTTP and the controller, nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from argosy.config.load import Environment, check_fleet
from argosy.errors import ArgosyError, BadRequestError, InputError, NotFoundError, RequestError, UnauthorizedError
from argosy.fleet.controller import Controller
from argosy.protocol.admin import Event, FleetReport, FleetRequest, PullEvent
from argosy.protocol.plan import DevicesReport

_LARGEST_BODY = 4 * 1024 * 1024
T = TypeVar("T")


Pull = Callable[[str], AsyncIterator[PullEvent]]
Machines = Callable[[], list[DevicesReport]]


def controller_app(
    controller: Controller, *, name: str, admin_key: str, environment: Environment, pull: Pull, machines: Machines
) -> ASGIApp:
    """`name`: the fleet's. `pull` fetches a source; it raises for one that is none before its first event. `machines`
    looks at all that the fleet runs on, which may take a moment."""

    async def report(_: Request) -> Response:
        return _json(controller.report())

    async def apply(request: Request) -> Response:
        asked = _decoded(await _body(request), FleetRequest)
        if (sent := asked.fleet.get("name", name)) != name:
            raise BadRequestError(
                f"this is fleet {name}, and {sent!r} was sent: ask that fleet's gateway, or leave out name"
            )
        fleet = check_fleet({**asked.fleet, "name": name}, environment, file="the fleet that was sent")
        return _json(await controller.apply(fleet))

    async def stop(request: Request) -> Response:
        return _json(await controller.stop(request.path_params["name"]))

    async def start(request: Request) -> Response:
        return _json(await controller.start(request.path_params["name"]))

    async def scale(request: Request) -> Response:
        return _json(await controller.scale(request.path_params["name"], _replicas(request)))

    async def restart(request: Request) -> Response:
        return _json(await controller.restart(request.path_params["name"]))

    async def drain(request: Request) -> Response:
        return _json(await controller.drain(request.path_params["replica"]))

    async def down(request: Request) -> Response:
        controller.down(now=request.query_params.get("now") == "1")
        return _json({})

    async def seen(_: Request) -> Response:
        return _json(await asyncio.to_thread(machines))

    async def pulled(request: Request) -> Response:
        events = pull(request.query_params.get("source", ""))
        return _stream(_pull_events(await anext(events), events))

    async def events(_: Request) -> Response:
        stream = controller.events.subscribe(controller.present)
        return _stream(_sse(stream))

    routes = [
        Route("/argosy/v1/fleet", report, methods=["GET"]),
        Route("/argosy/v1/fleet", apply, methods=["PUT"]),
        Route("/argosy/v1/fleet/events", events, methods=["GET"]),
        Route("/argosy/v1/fleet/machines", seen, methods=["GET"]),
        Route("/argosy/v1/fleet/pull", pulled, methods=["POST"]),
        Route("/argosy/v1/fleet/stop/{name:path}", stop, methods=["POST"]),
        Route("/argosy/v1/fleet/start/{name:path}", start, methods=["POST"]),
        Route("/argosy/v1/fleet/scale/{name:path}", scale, methods=["POST"]),
        Route("/argosy/v1/fleet/restart/{name:path}", restart, methods=["POST"]),
        Route("/argosy/v1/fleet/drain/{replica:path}", drain, methods=["POST"]),
        Route("/argosy/v1/fleet/down", down, methods=["POST"]),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(_AdminOnly, admin_key=admin_key)],
        exception_handlers={ArgosyError: _error, HTTPException: _http_exception},
    )
    app.router.redirect_slashes = False  # it would name this listener, which a client of the gateway cannot reach
    return app


class FleetListener(uvicorn.Server):
    """The surface's listener. Signals are the composition root's, not uvicorn's."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    async def serve_app(self, app: ASGIApp) -> None:
        """Until `should_exit` is set. Streams of events end by themselves when the controller's end."""
        super().__init__(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)
        )
        await self.serve(sockets=[self.socket])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _AdminOnly:
    def __init__(self, app: ASGIApp, *, admin_key: str) -> None:
        self._app = app
        self._expected = f"Bearer {admin_key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                error = UnauthorizedError("this is the fleet's own surface: it wants the admin key")
                await _answer(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise BadRequestError(f"a fleet of more than {_LARGEST_BODY} bytes is not taken")
    return body


def _replicas(request: Request) -> int:
    given = request.query_params.get("replicas", "")
    if not re.fullmatch(r"\d{1,9}", given, re.ASCII):
        raise BadRequestError(f"scale wants ?replicas=N, a whole number; got {given!r}")
    return int(given)


def _decoded(body: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as error:
        raise BadRequestError(f"not what this route takes: {error}") from None


def _json(value: FleetReport | Sequence[DevicesReport] | dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


async def _error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ArgosyError)
    return _answer(error)


async def _http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own: no such path, no such method."""
    assert isinstance(error, HTTPException)
    there = f"{request.method} {request.url.path}"
    told: RequestError = NotFoundError(f"There is nothing at {there}.")
    if error.status_code != 404:
        told = BadRequestError(f"{there} is not taken, but {(error.headers or {}).get('Allow', '')}.")
    answer = _answer(told)
    answer.status_code = error.status_code
    answer.headers.update(error.headers or {})
    return answer


def _answer(error: ArgosyError) -> Response:
    status = error.status if isinstance(error, RequestError) else 400 if isinstance(error, InputError) else 500
    kind = error.type if isinstance(error, RequestError) else "invalid_request_error"
    body = {"error": {"message": str(error), "type": kind, "param": None, "code": None}}
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")


def _stream(events: AsyncIterator[bytes]) -> Response:
    return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-store"})


async def _pull_events(first: PullEvent, others: AsyncIterator[PullEvent]) -> AsyncIterator[bytes]:
    yield b"data: " + msgspec.json.encode(first) + b"\n\n"
    async for event in others:
        yield b"data: " + msgspec.json.encode(event) + b"\n\n"


async def _sse(events: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    yield f": {time.time():.3f}\n\n".encode()  # the head goes out now, not with the first change
    async for event in events:
        yield b"event: " + event.kind.encode() + b"\ndata: " + msgspec.json.encode(event) + b"\n\n"
