"""What a gateway is started with, and how a fleet file becomes that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from argosy.config.environment import Environment
from argosy.protocol.admin import FleetTable
from argosy.state import FleetFolder

if TYPE_CHECKING:
    from argosy.config.schema import Arena, FastChat, Fleet
    from argosy.gateway.keys import ClientKeys
    from argosy.telemetry.logging import LogFormat


@dataclass(frozen=True)
class ArenaSettings:
    """`database`: a file or a URL; `sources`: by deployment, where its weights come from."""

    wanted: Arena
    database: str = field(repr=False)
    sources: Mapping[str, str]


@dataclass(frozen=True)
class GatewaySettings:
    """What a gateway is started with."""

    host: str
    port: int  # 0: a free one
    client_keys: ClientKeys
    allowed_hosts: tuple[str, ...]
    max_body_bytes: int
    grace_seconds: float
    table: FleetTable  # what it knows at its start
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    log_format: LogFormat = "text"
    fastchat: FastChat | None = None  # a listener that this gateway keeps itself, where no controller does
    tls: tuple[str, str] | None = None  # certificate and key, PEM files; None: plain HTTP
    arena: ArenaSettings | None = None
    telemetry: Literal["otlp"] | None = None


@dataclass(frozen=True)
class GatewaySecrets:
    """`client_keys` are among the settings: which there are depends on where the door is."""

    admin_key: str = field(repr=False)
    join_token: str = field(repr=False)


def make_client_key(fleet: Fleet, folder: FleetFolder, environment: Environment) -> str | None:
    """A client key made now, because this fleet's door would be open to others without one; None where it has keys or
    needs none. Raises InputError for a key file that cannot be read."""
    from argosy.gateway.keys import client_keys  # noqa: PLC0415

    return client_keys(fleet.gateway.host, fleet.gateway.api_key_file, environment.api_keys, folder).made


def gateway_settings(fleet: Fleet, folder: FleetFolder, environment: Environment, *, revision: int) -> GatewaySettings:
    """What a gateway of this fleet is started with."""
    from argosy.fleet.planner import records, remotes, sources  # noqa: PLC0415
    from argosy.gateway.keys import client_keys  # noqa: PLC0415
    from argosy.state import read_json  # noqa: PLC0415

    settings = fleet.gateway
    keys = client_keys(settings.host, settings.api_key_file, environment.api_keys, folder)
    # What the controller pushed last, where this gateway is started again: failures, the controller's address.
    table = read_json(folder.table, FleetTable)
    if table is None or table.revision < revision:
        table = FleetTable(revision=revision, deployments=records(fleet, (), revision=revision), remotes=remotes(fleet))
    arena = None
    if fleet.arena is not None:
        arena = ArenaSettings(fleet.arena, fleet.arena.database or str(folder.arena), sources(fleet))
    return GatewaySettings(
        host=settings.host,
        port=settings.port,
        client_keys=keys,
        allowed_hosts=settings.allowed_hosts,
        max_body_bytes=settings.max_body_mib * 1024 * 1024,
        grace_seconds=fleet.grace,
        table=table,
        cors_origins=settings.cors_origins,
        trusted_proxies=settings.trusted_proxies,
        log_format=settings.log_format,
        tls=(settings.tls_certificate, settings.tls_key) if settings.tls_certificate and settings.tls_key else None,
        arena=arena,
        telemetry=settings.telemetry,
    )
