"""GET /metrics, for Prometheus: who may ask, and in which thread the answer is made; exposition.py makes it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from argosy.dispatch.dispatcher import Dispatcher
from argosy.gateway.auth import Gatekeeper
from argosy.gateway.ledger import Ledger
from argosy.gateway.request_metrics import RequestMetrics
from argosy.registry.registry import Registry

PATH = "/metrics"


@dataclass(frozen=True)
class MetricsSurface:
    """Its route, over what it reads."""

    registry: Registry
    dispatcher: Dispatcher
    ledger: Ledger
    requests: RequestMetrics
    gatekeeper: Gatekeeper

    def routes(self) -> list[Route]:
        return [Route(PATH, self.metrics, methods=["GET"])]

    async def metrics(self, request: Request) -> Response:
        headers = (request.headers.get(name, "").encode("latin-1") for name in ("authorization", "host", "origin"))
        self.gatekeeper.check_metrics(*headers)
        self.ledger.settle()
        self.requests.settle()
        # In a thread: for a hundred deployments it takes a tenth of a second, and streams go on meanwhile.
        text, kind = await asyncio.to_thread(self._text, self.dispatcher.waiting(), request.headers.get("accept", ""))
        return Response(text, headers={"content-type": kind})

    def _text(self, waiting: dict[str, int], accept: str) -> tuple[bytes, str]:
        from argosy.gateway.exposition import Collector, exposition  # noqa: PLC0415  it is slow to import

        return exposition(Collector(self.registry, self.requests, waiting), accept)
