"""A deployment as the gateway knows it: all that routing needs, nothing of engines or weights."""

from __future__ import annotations

from typing import Any

import msgspec


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Time limits of one request, in seconds."""

    connect: float = 2.0  # to open a connection to the engine
    queue: float = 30.0  # waiting in the gateway for a free replica
    first_token: float = 60.0  # of a stream: from sending the request to its first event
    idle: float = 60.0  # of a stream: between two events
    total: float = 600.0  # all of it, from the choice of a replica on


class Shaping(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway changes in a request before an engine gets it (gateway/shaping.py)."""

    defaults: dict[str, Any] = {}  # fields for a request that does not name them; never one of the bounds
    max_tokens: int | None = None  # for a request that bounds its answer by no field
    bound: str = "max_tokens"  # the field that this default goes into
    ceiling: int | None = None  # no field that bounds the answer may be above it
    system_prompt: str | None = None  # for a chat without a system or developer message


class DeploymentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Comes from the fleet file, the controller's push or a heartbeat; the highest revision wins."""

    name: str
    revision: int  # Unix milliseconds of the change that made it
    aliases: list[str] = []
    replicas: int = 1  # wanted
    task: str = "generate"  # generate | embed
    policy: str = "affinity"  # one of dispatch/policies.py
    max_queue: int = 1000  # requests that may wait for a replica; the next one gets 429
    timeouts: Timeouts = Timeouts()
    stopped: bool = False  # by `argosy stop`: requests are refused at once
    created: int = 0  # Unix seconds, for /v1/models
    shaping: Shaping | None = None  # None: requests stay as they are
    embedding_batch: int | None = None  # inputs of an embeddings request that go out at once; None: its engine's


class RemoteRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where a `remote` deployment lives. The gateway makes one static replica of each URL and probes it itself."""

    deployment: str
    urls: list[str]  # up to and with /v1
    model: str | None = None  # the name to send upstream; None: as the client sent it
    api_key_env: str | None = None  # environment variable of the gateway that holds the upstream's key
    concurrency: int | None = None  # requests in flight per URL; None: no limit of ours
    paths: list[str] = []  # of protocol/endpoints.py, those that it serves; none told: all
    weight: float = 1.0
