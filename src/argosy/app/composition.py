"""The gateway's objects: from settings to objects that know each other."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from argosy.app.settings import ArenaSettings, GatewaySecrets, GatewaySettings
from argosy.protocol.admin import FleetTable

if TYPE_CHECKING:
    from argosy.gateway.app import Gateway
    from argosy.gateway.arena import ArenaSurface
    from argosy.gateway.call import OnEnds, Visit
    from argosy.gateway.callers import Callers
    from argosy.gateway.openai import OpenAISurface
    from argosy.registry.registry import Registry
    from argosy.telemetry.otlp import Otlp


def compose_gateway(
    settings: GatewaySettings,
    secrets: GatewaySecrets,
    variables: Mapping[str, str],
    *,
    on_end: OnEnds,
    on_visit: Callable[[Visit], None],
    on_table: Callable[[FleetTable], None],
    clock: Callable[[], float] = time.monotonic,
    draw: Callable[[], float] = random.random,
    comment_seconds: float = 15.0,
    batch: int = 64,
    page: Path | None = None,
    otlp: Otlp | None = None,
) -> Gateway:
    """The gateway's objects; call it where its event loop runs. `variables`: for remotes' keys and proxies.
    `comment_seconds`: between two signs of life for a stream that waits. `batch`: ended calls that are counted at once.
    `page`: the folder of the built page, where it is not the package's own.

    `otlp`: where spans and metrics go, if anywhere.

    `on_end` gets calls when they are over and counted, `on_visit` every other request, `on_table` every new table of
    the fleet.
    """
    from argosy.dispatch.dispatcher import Dispatcher  # noqa: PLC0415
    from argosy.gateway.admin import FleetSurface  # noqa: PLC0415
    from argosy.gateway.answers import Answers  # noqa: PLC0415
    from argosy.gateway.app import Gateway  # noqa: PLC0415
    from argosy.gateway.auth import Gatekeeper  # noqa: PLC0415
    from argosy.gateway.callers import Callers  # noqa: PLC0415
    from argosy.gateway.client_address import ClientAddresses  # noqa: PLC0415
    from argosy.gateway.cors import Cors  # noqa: PLC0415
    from argosy.gateway.embedding_batches import EmbeddingBatches  # noqa: PLC0415
    from argosy.gateway.joining import Joining  # noqa: PLC0415
    from argosy.gateway.ledger import Ledger  # noqa: PLC0415
    from argosy.gateway.metrics import MetricsSurface  # noqa: PLC0415
    from argosy.gateway.openai import OpenAISurface  # noqa: PLC0415
    from argosy.gateway.orders import Orders  # noqa: PLC0415
    from argosy.gateway.page import PageSurface  # noqa: PLC0415
    from argosy.gateway.prober import Prober  # noqa: PLC0415
    from argosy.gateway.relay import Relay  # noqa: PLC0415
    from argosy.gateway.request_metrics import RequestMetrics  # noqa: PLC0415
    from argosy.gateway.throughput import Throughput  # noqa: PLC0415
    from argosy.gateway.time_limits import TimeKeeper  # noqa: PLC0415
    from argosy.gateway.token_check import TokenCheck  # noqa: PLC0415
    from argosy.gateway.upstreams import Upstreams  # noqa: PLC0415
    from argosy.registry.registry import Registry  # noqa: PLC0415
    from argosy.wire.client import Client  # noqa: PLC0415

    gatekeeper = Gatekeeper(
        settings.client_keys.all,
        secrets.admin_key,
        [settings.host],
        allowed_hosts=settings.allowed_hosts,
        origins=settings.cors_origins,
        clock=clock,
    )
    addresses = ClientAddresses(settings.trusted_proxies)
    throughput = Throughput(clock)
    requests = RequestMetrics()

    readers = [throughput.ended, requests.ended, on_end]
    trace = None
    if otlp is not None and otlp.spans is not None:
        from argosy.gateway.spans import Spans  # noqa: PLC0415

        spans = Spans(otlp.spans, otlp.sampler, otlp.resource, clock)
        trace = spans.begin
        readers.append(spans.ended)
    if otlp is not None and otlp.meter is not None:
        from argosy.gateway.gen_ai_metrics import GenAiMetrics  # noqa: PLC0415

        readers.append(GenAiMetrics(otlp.meter).ended)
    ledger = Ledger(asyncio.get_running_loop(), readers, batch=batch)

    def rates() -> Mapping[str, float]:
        ledger.settle()
        return throughput.rates()

    registry = Registry()
    registry.apply_table(settings.table, clock())
    dispatcher = Dispatcher(registry, clock=clock, draw=draw)
    upstreams = Upstreams(secrets.join_token, variables)
    relay = Relay(
        registry,
        dispatcher,
        upstreams,
        Answers(clock, throughput.streamed),
        clock=clock,
        time_keeper=TimeKeeper(asyncio.get_running_loop()),
    )
    surface = OpenAISurface(
        registry,
        relay,
        EmbeddingBatches(relay, clock),
        gatekeeper,
        addresses,
        max_body_bytes=settings.max_body_bytes,
        comment_seconds=comment_seconds,
        clock=clock,
        on_end=ledger.ended,
        trace=trace,
    )
    callers = Callers(gatekeeper, addresses)
    client = Client()
    return Gateway(
        registry=registry,
        surface=surface,
        fleet=FleetSurface(
            registry=registry,
            dispatcher=dispatcher,
            gatekeeper=gatekeeper,
            orders=Orders(),
            joining=Joining(registry, client, secrets.join_token),
            join_token=secrets.join_token,
            client=client,
            clock=clock,
            on_table=on_table,
            rates=rates,
        ),
        token_check=TokenCheck(registry, relay, upstreams, clock, callers=callers, unknown=surface.unknown),
        metrics=MetricsSurface(
            registry=registry, dispatcher=dispatcher, ledger=ledger, requests=requests, gatekeeper=gatekeeper
        ),
        page=PageSurface(registry=registry, dispatcher=dispatcher, callers=callers, folder=page),
        arena=_arena(settings.arena, registry, callers, surface, clock=clock, draw=draw, on_visit=on_visit),
        ledger=ledger,
        gatekeeper=gatekeeper,
        upstreams=upstreams,
        prober=Prober(registry, upstreams, clock),
        callers=callers,
        cors=Cors(settings.cors_origins) if settings.cors_origins else None,
        clock=clock,
        on_visit=on_visit,
    )


def _arena(
    settings: ArenaSettings | None,
    registry: Registry,
    callers: Callers,
    surface: OpenAISurface,
    *,
    clock: Callable[[], float],
    draw: Callable[[], float],
    on_visit: Callable[[Visit], None],
) -> ArenaSurface:
    from argosy.config.arena import missing_packages  # noqa: PLC0415
    from argosy.gateway.arena import ArenaSurface, OpenArena  # noqa: PLC0415

    opened: OpenArena | None = None
    why_none = missing_packages() if settings is not None else "the fleet file has no `arena`"
    if settings is not None and why_none is None:
        from argosy.arena.archive import Archive  # noqa: PLC0415
        from argosy.arena.battles import Battles  # noqa: PLC0415
        from argosy.gateway.arena_rates import Rates  # noqa: PLC0415

        wanted = settings.wanted
        opened = OpenArena(
            settings=wanted,
            sources=settings.sources,
            archive=Archive(settings.database, clock),
            battles=Battles(clock),
            battle_rates=Rates("battles", wanted.battles_per_minute, clock),
            vote_rates=Rates("votes", wanted.votes_per_minute, clock),
        )
    return ArenaSurface(
        opened,
        why_none,
        registry=registry,
        callers=callers,
        surface=surface,
        clock=clock,
        chance=draw,
        on_visit=on_visit,
    )
