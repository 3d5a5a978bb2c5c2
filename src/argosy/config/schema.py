"""The fleet file's schema. Frozen; every default of Argosy's settings lives here and nowhere else.

Validation is structural here (types, ranges, names; what does not go together: misfits.py). `load.py` adds what needs
the outside world (files, environment, the table of engines) and has pydantic's findings told as faults with a path and
a suggestion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from argosy.config.engine_name import decide_engine
from argosy.config.gpus import MOST_GPUS, Gpus, check_gpus
from argosy.config.misfits import misfits, shared_names
from argosy.config.recipe import EnvironmentRecipe
from argosy.config.values import (
    as_json,
    check_all_or_two,
    check_default,
    check_defaults,
    check_endpoint,
    check_fleet_name,
    check_listen,
    check_name,
    check_network,
    check_origin,
    check_path,
    check_url,
    parse_bytes,
    refuse_truth,
)
from argosy.protocol.endpoints import COMMON, ENDPOINTS

PolicyName = Literal["affinity", "least_in_flight", "round_robin", "two_choices", "weighted_lottery"]
MISFIT = "misfit"  # the error type of fields that are right by themselves but do not go together
DEFAULT_MAX_TOKENS = 2048  # of an answer whose request bounds it by nothing
Name = Annotated[str, AfterValidator(check_name)]
FleetName = Annotated[str, AfterValidator(check_fleet_name)]
NO_TRUTH = BeforeValidator(refuse_truth)
Seconds = Annotated[float, Field(gt=0, le=86400), NO_TRUTH]
Fraction = Annotated[float, Field(gt=0, le=1), NO_TRUTH]
Bytes = Annotated[int, Field(ge=0), BeforeValidator(parse_bytes), NO_TRUTH, WithJsonSchema({"type": "string"})]
AS_IT_IS = PlainSerializer(lambda value: value, return_type=Any)  # pydantic's own warns of lists within lists
_INDEX = {"type": "integer", "minimum": 0, "maximum": MOST_GPUS}
_GPUS_SCHEMA = {
    "anyOf": [
        {"enum": ["auto"]},
        _INDEX,
        {"type": "array", "items": _INDEX, "minItems": 1},
        {"type": "array", "items": {"type": "array", "items": _INDEX, "minItems": 1}, "minItems": 1},
    ]
}


class Settings(BaseModel):
    """Base of everything in the file: frozen, and an unknown field is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Timeouts(Settings):
    """Time limits of one request, in seconds."""

    connect: Seconds = Field(2, description="to open a connection to the engine")
    queue: Seconds = Field(30, description="waiting in the gateway for a free replica; then 503")
    first_token: Seconds = Field(60, description="of a stream: until its first event")
    idle: Seconds = Field(60, description="of a stream: between two events")
    total: Seconds = Field(600, description="the whole request, waiting excepted")


class Gateway(Settings):
    """The door."""

    host: str = Field("127.0.0.1", description="address to listen on; another than loopback wants a client key")
    port: Annotated[int, Field(ge=0, le=65535), NO_TRUTH] = Field(8000, description="0 takes a free one")
    api_key_file: str | None = Field(
        None,
        description="file with client keys: plain, one a line, or YAML with names and limits, as `argosy key new` "
        "writes it; read again when it changes. Those of ARGOSY_API_KEY hold too",
    )
    log_format: Literal["text", "json"] = Field("text", description="of the lines in the gateway's log")
    max_body_mib: Annotated[int, Field(ge=1, le=1024), NO_TRUTH] = Field(32, description="larger requests get 413")
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="names that clients may call the gateway by, besides its own addresses. While no client key is set "
        "only these pass; with one any name does, unless some are named here",
    )
    cors_origins: tuple[Annotated[str, AfterValidator(check_origin)], ...] = Field(
        (), description="origins of web pages that may call the gateway from a browser (https://app.example); * for all"
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(check_network)], ...] = Field(
        (), description="addresses or networks (10.0.0.0/8) of proxies whose X-Forwarded-For tells a client's address"
    )
    tls_certificate: str | None = Field(
        None, description="PEM file with a certificate and its chain: the gateway then speaks HTTPS only"
    )
    tls_key: str | None = Field(None, description="PEM file with the certificate's key, without a password")
    telemetry: Literal["otlp"] | None = Field(
        None,
        description="otlp: traces and metrics go by OpenTelemetry's OTLP over HTTP to where the environment says "
        "(OTEL_EXPORTER_OTLP_ENDPOINT; default http://localhost:4318). Needs argosy[otel]",
    )


class Budget(Settings):
    """How much of every GPU's memory the fleet's replicas may take together."""

    memory_fraction: Fraction = Field(0.95, description="share of a GPU's memory that replicas may take together")
    reserve: Bytes = Field(0, description="memory of each GPU that is left free in any case (2GiB, 512MiB)")


class FastChat(Settings):
    """The listener that old FastChat workers and tools take for their controller; none without this."""

    listen: Annotated[str, AfterValidator(check_listen)] = Field(
        "127.0.0.1:21001", description="ADDRESS:PORT; 21001 is where FastChat's processes look for their controller"
    )
    allow: Annotated[tuple[Annotated[str, AfterValidator(check_network)], ...], Field(min_length=1)] = Field(
        ("127.0.0.0/8", "::1/128"),
        description="networks: who may speak to it, and where the workers may be that register. Those processes can "
        "send no key, so whoever is in these networks may",
    )
    concurrency: Annotated[int, Field(ge=1, le=10000), NO_TRUTH] = Field(
        5, description="requests in flight per old worker and model: FastChat's --limit-worker-concurrency"
    )


class Deployment(Settings):
    """A served model."""

    source: str | None = Field(
        None,
        description="catalog name, path, hf:org/repo, modelscope:org/repo, https://… or pypi:package==version/member",
    )
    revision: str | None = Field(
        None, description="of a hf: or modelscope: source: a branch, a tag or a commit", min_length=1
    )
    engine: str | None = Field(
        None,
        description="left out: told by the fields present (urls: remote, command: command), else by the files of the "
        "source and the devices: llama.cpp for GGUF, vllm for safetensors on a GPU, else transformers",
        min_length=1,
    )
    task: Literal["generate", "embed"] = Field("generate", description="answers, or embeddings")
    replicas: Annotated[int, Field(ge=0, le=1000), NO_TRUTH] = Field(
        1, description="copies that run; with 0, requests wait up to timeouts.queue"
    )
    aliases: tuple[Name, ...] = Field((), description="other names that clients may send")

    # where its replicas run
    gpus: Annotated[Gpus | None, PlainValidator(check_gpus), AS_IT_IS, WithJsonSchema(_GPUS_SCHEMA)] = Field(
        None,
        description="for each replica: how many GPUs (0: none), auto for as many as it takes, or which, by their "
        "indices: [2] for every replica, [[2], [3]] one list for each. It sees these and no others; a list's length is "
        "how many work on it together. Left out: auto where the engine can use one and one has room, else the CPU",
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="cpu: it sees no GPU; gpu: it is not started without one"
    )
    tensor_parallel: Annotated[int, Field(ge=1, le=MOST_GPUS), NO_TRUTH] | None = Field(
        None, description="GPUs that work on one replica together (default: as many as gpus gives it)"
    )
    memory_fraction: Fraction | None = Field(
        None,
        description="of the memory of each of its GPUs that a replica may take (default: what its weights and its "
        "cache need; an engine that fills whatever it is given gets what is left)",
    )

    options: dict[str, Any] = Field(default_factory=dict, description="the engine's own")
    environment: EnvironmentRecipe | None = Field(
        None,
        description="the Python environment that the engine runs in, or the name of one in `environments`; made on "
        "first use and kept in ARGOSY_CACHE (default: the engine's own choice)",
    )
    env: dict[str, str] = Field(
        default_factory=dict, description="environment of the engine; {key} and {port} are filled in"
    )
    concurrency: Annotated[int, Field(ge=1, le=10000), NO_TRUTH] | None = Field(
        None, description="requests in flight per replica (default: the engine's slots); more wait in the gateway"
    )
    embedding_batch: Annotated[int, Field(ge=1, le=10000), NO_TRUTH] | None = Field(
        None,
        description="inputs of an embeddings request that a replica gets at once; more go in parts, over all replicas "
        "(default: what the engine takes: llama.cpp 32, others any number)",
    )
    max_queue: Annotated[int, Field(ge=0, le=1_000_000), NO_TRUTH] = Field(
        1000, description="requests that may wait; then 429"
    )
    policy: PolicyName | None = Field(
        None,
        description="which ready replica gets a request: affinity (the one that was given the most of this prompt "
        "before, while it is not busier than the others), least_in_flight, two_choices (the less busy of two by "
        "chance), round_robin, weighted_lottery (default: affinity, of engine remote least_in_flight)",
    )
    weight: Annotated[float, Field(gt=0, le=1000), NO_TRUTH] = Field(
        1.0, description="a replica's share of the requests beside others of its deployment; round_robin knows none"
    )
    timeouts: Timeouts = Field(Timeouts(), description="time limits of one request")

    # what a request gets from its deployment
    defaults: Annotated[
        dict[Annotated[str, AfterValidator(check_default)], Annotated[Any, AfterValidator(as_json)]],
        AfterValidator(check_defaults),
    ] = Field(
        default_factory=dict,
        description="fields of the API for a request that does not name them (an explicit null names nothing): "
        f"temperature, stop, … Where max_tokens has none here, it is max_tokens_ceiling, else {DEFAULT_MAX_TOKENS} for "
        "task generate, so that nobody holds a slot to the context's end by saying nothing; `max_tokens: null` allows "
        "the whole context. An engine that refuses more than its context holds (vLLM) wants a smaller one. To a remote "
        "only what is named here is added",
    )
    max_tokens_ceiling: Annotated[int, Field(ge=1), NO_TRUTH] | None = Field(
        None, description="max_tokens, max_completion_tokens and n_predict above it, or negative, are lowered to it"
    )
    system_prompt: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="put in front of a chat that has no system or developer message"
    )
    chat_template: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="how messages become a prompt, instead of what the model says: a file with a Jinja template, or "
        "its text. For the engines llama.cpp and command ({chat_template} in the command is a file with it)",
    )
    check_memory: bool = Field(
        default=True,
        description="refuse a start for which this machine's memory is too small; false for weights that may be larger "
        "than it (mapped from a quick disk, served slowly), or that the command loads as fewer bytes than their files "
        "have",
    )

    # engine: command or remote
    paths: Annotated[tuple[Annotated[str, AfterValidator(check_endpoint)], ...], Field(min_length=1)] = Field(
        COMMON,
        description="what the server behind serves, where it is not OpenAI's three; the door passes on also "
        f"{', '.join(path for path in ENDPOINTS if path not in COMMON)}",
    )
    # engine: command
    command: tuple[str, ...] | None = Field(
        None, description="argv; {path}, {port}, {name} and {chat_template} are filled in"
    )
    ready: Annotated[str, AfterValidator(check_path)] = Field(
        "/health", description="GET path that answers 200 once the engine can serve"
    )
    # engine: remote
    urls: tuple[Annotated[str, AfterValidator(check_url)], ...] = Field(
        (), description="base URLs up to and with /v1; each is a replica"
    )
    model: str | None = Field(None, description="the name to send upstream (default: what the client sent)")
    api_key_env: str | None = Field(None, description="environment variable that holds the upstream's key")

    @property
    def engine_name(self) -> str:
        """The engine; UNDECIDED until the weights are here, where they must tell."""
        return decide_engine(self.engine, urls=self.urls, command=self.command, source=self.source)

    @property
    def adapters(self) -> dict[str, str]:
        """LoRA adapters: the model's name → its source."""
        given = self.options.get("adapters")
        return {str(name): str(source) for name, source in given.items()} if isinstance(given, dict) else {}

    @classmethod
    def misfits(cls, given: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Which of the fields as they were given, right or wrong, do not go together: (field, what is wrong)."""
        return misfits(given, {field: info.default for field, info in cls.model_fields.items()})

    @model_validator(mode="after")
    def _fields_fit_the_engine(self) -> Deployment:
        given = {field: getattr(self, field) for field in self.model_fields_set}
        if found := self.misfits(given):
            raise PydanticCustomError(MISFIT, "{reasons}", {"reasons": "; ".join(": ".join(each) for each in found)})
        return self


class Arena(Settings):
    """Battles of two models whose names are not told, votes, and a leaderboard; off where the file has no `arena`."""

    models: Annotated[Literal["all"] | tuple[str, ...], BeforeValidator(check_all_or_two)] = Field(
        "all", description="deployments that may be drawn: all of task generate, or a list of two at least"
    )
    weights: dict[Name, Annotated[float, Field(gt=0, le=1000), NO_TRUTH]] = Field(
        default_factory=dict, description="how often a deployment is drawn beside others, which have 1"
    )
    database: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="where votes are kept: a file, or postgresql://USER:PASSWORD@HOST/NAME (wants psycopg); left out: "
        "arena.sqlite in the fleet's state folder",
    )
    keep_conversations: bool = Field(default=False, description="keep with a vote also what was asked and answered")
    telling_words: tuple[Annotated[str, Field(min_length=2)], ...] = Field(
        (),
        description="words besides models' names and families that give a model away: a battle with one in an answer "
        "does not count",
    )
    battles_per_minute: Annotated[int, Field(ge=1, le=100_000), NO_TRUTH] = Field(
        10, description="that one client key, and one address, may draw"
    )
    votes_per_minute: Annotated[int, Field(ge=1, le=100_000), NO_TRUTH] = Field(
        20, description="that one client key, and one address, may give"
    )


class Fleet(Settings):
    """Everything one fleet file asks for."""

    name: FleetName = Field("default", description="for --fleet; left out: the file's own name (fleet.yaml: fleet)")
    gateway: Gateway = Field(Gateway(), description="the door")
    deployments: dict[Name, Deployment] = Field(default_factory=dict, description="the models, by name")
    environments: dict[Name, EnvironmentRecipe] = Field(
        default_factory=dict, description="Python environments by name, for several deployments to share"
    )
    budget: Budget = Field(Budget(), description="of GPUs' memory")
    fastchat: FastChat | None = Field(
        None, description="take old FastChat workers in; left out: no listener, `fastchat: {}`: one with these defaults"
    )
    arena: Arena | None = Field(None, description="battles between models, votes and a leaderboard; left out: none")
    grace: Annotated[float, Field(ge=0, le=3600), NO_TRUTH] = Field(
        30, description="seconds that running requests get to finish when a replica or the fleet is stopped"
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Fleet:
        if found := shared_names(
            {name: (*each.aliases, *each.adapters) for name, each in self.deployments.items()},
            {name: each.replicas for name, each in self.deployments.items()},
        ):
            reasons = "; ".join(f"{'.'.join(map(str, where))}: {text}" for where, text in found)
            raise PydanticCustomError(MISFIT, "{reasons}", {"reasons": reasons})
        return self
