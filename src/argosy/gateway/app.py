"""The gateway's routes and middleware in one visible list, and the tasks that keep its tables true.

POST /v1/chat/completions and the other ENDPOINTS                client key     openai.py → relay.py
POST /v1/engines/{id}/embeddings · /api/v1/chat/completions      client key     the same, by old_paths.py
POST /api/v1/token_check                                         client key     token_check.py
GET  /v1/models · /v1/models/{id}                                client key     here
GET  /openapi.json                                               client key     openapi.py
GET  /health · /ready                                            nobody's key   here
GET  / · /assets/…                                               nobody's key   page.py, and /argosy/v1/models
GET  /metrics                                                    admin key      metrics.py
/argosy/v1/arena…                                                see arena.py
/argosy/v1/…                                                     see admin.py
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from argosy.errors import BadRequestError, NotFoundError, RequestError
from argosy.gateway.admin import FLEET_PATH, REPLICAS_PATH, TABLE_PATH, FleetSurface, as_json
from argosy.gateway.arena import ArenaSurface
from argosy.gateway.auth import Gatekeeper
from argosy.gateway.call import OnVisit, Visit
from argosy.gateway.callers import Callers
from argosy.gateway.cors import Cors, Send
from argosy.gateway.errors import headers_of
from argosy.gateway.ledger import Ledger
from argosy.gateway.metrics import PATH as METRICS_PATH
from argosy.gateway.metrics import MetricsSurface
from argosy.gateway.old_paths import OLD_CHAT, OLD_EMBEDDINGS
from argosy.gateway.openai import CLIENT_CLOSED_REQUEST, OpenAISurface
from argosy.gateway.page import MODELS_PATH, PageSurface
from argosy.gateway.prober import Prober
from argosy.gateway.readiness import SERVING, SETTLED, state_of
from argosy.gateway.token_check import TokenCheck
from argosy.gateway.upstreams import Upstreams
from argosy.protocol import heartbeat as beat
from argosy.protocol.endpoints import ENDPOINTS
from argosy.protocol.surfaces import OPENAI, surface_of
from argosy.registry.records import Deployment
from argosy.registry.registry import Registry
from argosy.wire.request_cycle import RequestCycle
from argosy.wire.server import Handler

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
SWEEP_SECONDS = 0.5
# Asked once a second or more by workers, the controller and whoever watches: a line for each would be all of the log.
_ASKED_ALL_THE_TIME = frozenset(
    {"/health", "/ready", METRICS_PATH, MODELS_PATH, FLEET_PATH, beat.PATH, TABLE_PATH, REPLICAS_PATH}
)


class Gateway:
    """The ASGI application. `run` keeps the tables true for as long as it is served.

    `routes`: all that it answers. `on_visit` gets every request that is no Call, when it is over.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        surface: OpenAISurface,
        fleet: FleetSurface,
        metrics: MetricsSurface,
        page: PageSurface,
        arena: ArenaSurface,
        token_check: TokenCheck,
        gatekeeper: Gatekeeper,
        upstreams: Upstreams,
        prober: Prober,
        ledger: Ledger,
        callers: Callers,
        cors: Cors | None,
        clock: Callable[[], float],
        on_visit: OnVisit,
    ) -> None:
        self.registry = registry
        self._surface = surface
        self.gatekeeper = gatekeeper
        self._upstreams = upstreams
        self._prober = prober
        self.ledger = ledger
        self._callers = callers
        self._cors = cors
        self.fleet = fleet
        self._clock = clock
        self._on_visit = on_visit
        # What wire/server.py hands to us without ASGI.
        hot = surface.serve if cors is None else self._told_to_pages
        self.hot: Mapping[str, Handler] = dict.fromkeys(ENDPOINTS, hot)
        self._arena = arena
        self._seldom = Starlette(
            routes=[
                Route("/health", self._health, methods=["GET"]),
                Route("/ready", self._ready, methods=["GET"]),
                # For a 405 to other methods.
                *(Route(path, self._not_here, methods=["POST"]) for path in (*ENDPOINTS, OLD_CHAT, OLD_EMBEDDINGS)),
                Route("/v1/models", self._models, methods=["GET"]),
                Route("/v1/models/{id:path}", self._model, methods=["GET"]),
                Route("/openapi.json", self._document, methods=["GET"]),
                *page.routes(),
                *token_check.routes(),
                *metrics.routes(),
                *fleet.routes(),
                *arena.routes(),
            ],
            exception_handlers={RequestError: _request_error, HTTPException: _http_exception, Exception: _own_fault},
        )
        self._seldom.router.redirect_slashes = False
        self.routes = self._seldom.routes
        self._documented: bytes | None = None

    def also_hot(self, path: str) -> Handler | None:
        """What wire/server.py hands to us without ASGI beside `hot`: paths that mean one of those, and the arena's."""
        handler = self._surface.old(path) or self._arena.handler_of(path)
        if handler is None or self._cors is None:
            return handler
        return functools.partial(self._told_to_pages, handler=handler)

    def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> Awaitable[None]:
        if self._cors is None:
            return self._visit(scope, receive, send)
        return self._cors(self._visit, scope, receive, send)

    async def run(self) -> None:
        """Lets leases run out and starts probes, until cancelled."""
        due = self._clock()  # at once: remotes are not routable before their first probe
        try:
            while True:
                await asyncio.sleep(max(0.0, due - self._clock()))
                now = self._clock()
                self.registry.sweep(now, due)
                self._prober.tend()
                self._upstreams.forget(self.registry.replicas)
                self.fleet.orders.forget(self.registry.replicas)
                self.fleet.dispatcher.forget(self.registry.replicas)
                due = now + SWEEP_SECONDS
        finally:
            await self._prober.close()
            await self.fleet.close()
            await self._arena.close()
            self._upstreams.close()

    async def _visit(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """What is not hot: the answer gets its x-request-id here, and its line in the log when it is over."""
        began, status = self._clock(), 0
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = self._surface.request_id(given)

        async def send_with_id(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        method, path = scope["method"], scope["path"]
        try:
            await self._seldom(scope, receive, send_with_id)
        except Exception as error:
            error.add_note(f"The request was {method} {path!r}, {request_id.decode('latin-1')} in this log.")
            raise  # to the server, which logs it
        finally:
            status = status or CLIENT_CLOSED_REQUEST
            if status >= 400 or path not in _ASKED_ALL_THE_TIME:
                now = self._clock()
                self._on_visit(Visit(request_id, method, path, status, now - began, now))

    def _told_to_pages(self, request: RequestCycle, handler: Handler | None = None) -> Coroutine[Any, Any, None]:
        assert self._cors is not None
        self._cors.tell(request)
        return (handler or self._surface.serve)(request)

    async def _not_here(self, request: Request) -> Response:
        raise AssertionError(f"{request.url.path} is a hot path, which this server does not know (wire/server.py)")

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _ready(self, request: Request) -> Response:
        """200 once every deployment (or the one of ?model=) has reached its wanted replicas or has failed, else 503."""
        model = request.query_params.get("model")
        if model is None:
            deployments = list(self.registry.deployments.values())
        elif found := self.registry.find(model):
            deployments = [found]
        else:
            raise self._surface.unknown(model)
        states = {entry.record.name: state_of(self.registry, entry) for entry in deployments}
        # One deployment is asked for because somebody wants to use it: then it must serve.
        good = SERVING if model else SETTLED
        ready = all(state in good for state in states.values())
        return JSONResponse({"ready": ready, "deployments": states}, 200 if ready else 503)

    async def _models(self, request: Request) -> Response:
        models = self._surface.models(self._callers.principal(request))
        return as_json({"object": "list", "data": [_model(name, entry) for name, entry in models]})

    async def _model(self, request: Request) -> Response:
        principal = self._callers.principal(request)
        name = request.path_params["id"]
        deployment = self.registry.find(name)
        if deployment is None or not principal.may_use(name, deployment.record.name):
            raise self._surface.unknown(name, principal)
        return as_json(_model(name, deployment))

    async def _document(self, request: Request) -> Response:
        self._callers.principal(request)
        if self._documented is None:
            from argosy.gateway.openapi import document  # noqa: PLC0415  few ever ask for it

            self._documented = document(self.routes)
        return Response(self._documented, media_type="application/json")


def _model(name: str, deployment: Deployment) -> dict[str, Any]:
    """https://platform.openai.com/docs/api-reference/models/object; `root` tells an alias's deployment, as at vLLM."""
    record = deployment.record
    return {
        "id": name,
        "object": "model",
        "created": record.created,
        "owned_by": "argosy",
        "root": record.name,
        "task": record.task,
        "ready": bool(deployment.routable),
    }


async def _request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return Response(OPENAI.error_body(error), error.status, headers_of(error), media_type="application/json")


async def _own_fault(request: Request, error: Exception) -> Response:
    """Of Argosy. What it was stands in the log alone."""
    told = RequestError("Argosy failed on this request; the gateway's log has the details.", code="internal_error")
    return Response(surface_of(request.url.path).error_body(told), told.status, media_type="application/json")


async def _http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own: no such path, no such method."""
    assert isinstance(error, HTTPException)
    told: RequestError = NotFoundError(f"There is nothing at {request.method} {request.url.path}.", code="unknown_url")
    if error.status_code != 404:
        taken = (error.headers or {}).get("Allow", "")
        told = BadRequestError(
            f"{request.method} is not taken at {request.url.path}, but {taken}.", code="method_not_supported"
        )
    body = surface_of(request.url.path).error_body(told)
    return Response(body, error.status_code, error.headers, media_type="application/json")
