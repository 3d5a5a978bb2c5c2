"""What a browser asks of the door besides the OpenAI surface: the page and its files, and the models with their states.

The files are public, as /health is, but answered only under the door's own names; what they show asks for its keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from argosy import __version__
from argosy.dispatch.dispatcher import Dispatcher
from argosy.errors import NotFoundError
from argosy.gateway.admin import as_json
from argosy.gateway.callers import Callers
from argosy.gateway.readiness import state_of
from argosy.protocol.admin import ModelView
from argosy.registry.records import Deployment
from argosy.registry.registry import Registry
from argosy.web.site import ASSETS, DIST, File, Site

MODELS_PATH = "/argosy/v1/models"


@dataclass(frozen=True)
class PageSurface:
    """Its routes, over what they need. `folder`: of the page's files, where they are not the package's
    own; read at the first visit."""

    registry: Registry
    dispatcher: Dispatcher
    callers: Callers
    folder: Path | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/", self.index, methods=["GET"]),
            Route(f"{ASSETS}{{name}}", self.asset, methods=["GET"]),
            Route(MODELS_PATH, self.models, methods=["GET"]),
        ]

    @cached_property
    def _site(self) -> Site:
        return Site.read(self.folder or DIST)

    async def index(self, request: Request) -> Response:
        self._check_name(request)
        if (index := self._site.index) is None:
            return PlainTextResponse(
                f"Argosy {__version__}\n\n"
                f"The OpenAI-compatible API is under {request.base_url}v1 (/v1/models tells what is served).\n"
                "The page for browsers is not built here: `make web` builds it, and wheels have it.\n"
            )
        return _answer(request, index)

    async def asset(self, request: Request) -> Response:
        self._check_name(request)
        if (found := self._site.assets.get(request.path_params["name"])) is None:
            raise NotFoundError(
                f"The page has no file {request.path_params['name']!r}: load the page anew.", code="unknown_url"
            )
        return _answer(request, found)

    async def models(self, request: Request) -> Response:
        asking, waiting = self.callers.principal(request), self.dispatcher.waiting()
        return as_json(
            [
                self._view(name, deployment, waiting.get(name, 0))
                for name, deployment in self.registry.deployments.items()
                if asking.may_use(name, name)
            ]
        )

    def _check_name(self, request: Request) -> None:
        self.callers.gatekeeper.check_host(request.headers.get("host", "").encode("latin-1"))

    def _view(self, name: str, deployment: Deployment, waiting: int) -> ModelView:
        replicas = deployment.replicas.values()
        seeing = {replica.status.traits.sees for replica in replicas}
        return ModelView(
            name=name,
            aliases=deployment.record.aliases,
            task=deployment.record.task,
            state=state_of(self.registry, deployment),
            wanted=deployment.record.replicas,
            ready=len(deployment.routable),
            in_flight=sum(replica.in_flight for replica in replicas),
            waiting=waiting,
            sees=True if True in seeing else False if seeing == {False} else None,
        )


def _answer(request: Request, file: File) -> Response:
    headers = {**file.headers, "etag": file.etag}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    encoding, body = file.encoded(request.headers.get("accept-encoding", ""))
    if encoding:
        headers["content-encoding"] = encoding
    return Response(body, headers=headers)
