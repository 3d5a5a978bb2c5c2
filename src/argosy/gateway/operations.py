"""What each route of the gateway is for, wants and answers: the words and structs of /openapi.json (openapi.py).

The routes of what is passed on to the controller are here too: this side of the fleet has no other list of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from argosy.arena.leaderboard import Leaderboard
from argosy.protocol import admin, arena, endpoints, heartbeat, join, peek, peek_base, plan, replica_log, token_check

PATH = "/openapi.json"
PASSED_ON = "/argosy/v1/fleet/{rest:path}"
JSON, TEXT, HTML = "application/json", "text/plain", "text/html"
EVENTS, LINES = "text/event-stream", "application/x-ndjson"
_Object = dict[str, Any]


# What answers consist of that are made without a struct: the fuzz compares them with what the door says.


class Health(msgspec.Struct):
    status: Literal["ok"]


class Ready(msgspec.Struct):
    ready: bool
    deployments: dict[str, str]  # name → state


class Model(msgspec.Struct):
    """`root`: the deployment, where `id` is an alias; `ready`: it can serve now."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    task: str
    ready: bool


class ModelList(msgspec.Struct):
    object: Literal["list"]
    data: list[Model]


class Fault(msgspec.Struct):
    """`code` is for programs: docs/guide/troubleshooting.md has them all. An engine's own may be a number."""

    message: str
    type: str | None = None
    param: str | None = None
    code: str | int | None = None
    place_in_line: int | UnsetType = UNSET


class Refusal(msgspec.Struct):
    """OpenAI's error envelope."""

    error: Fault


class AnthropicFault(msgspec.Struct):
    type: str
    message: str


class AnthropicRefusal(msgspec.Struct):
    """Anthropic's error envelope."""

    type: Literal["error"]
    error: AnthropicFault


class Nothing(msgspec.Struct):
    """{}: it has been taken."""


class SideMessage(msgspec.Struct):
    """As in OpenAI's chats."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]


class SideChat(msgspec.Struct, forbid_unknown_fields=True):
    """A chat without a model: these fields, which every model knows, and no others."""

    messages: Annotated[list[SideMessage], Meta(min_length=1)]
    stream: bool | None = None
    temperature: peek_base.Temperature | None = None
    top_p: peek_base.Share | None = None
    max_tokens: peek_base.Positive | None = None
    max_completion_tokens: peek_base.Positive | None = None
    stop: peek.Stops | None = None
    seed: int | None = None
    presence_penalty: peek.Penalty | None = None
    frequency_penalty: peek.Penalty | None = None
    user: Any = None
    stream_options: Any = None


OF_MODELS: tuple[int | str, ...] = (400, 401, 403, 404, 413, 429, 502, 503, 504, "4XX", "5XX")
_TIMES: Mapping[str, tuple[_Object, str]] = {
    "x-request-timeout": ({"type": "number", "exclusiveMinimum": 0}, "Seconds that the request may take in all."),
    "x-wait-comments": ({"enum": ["true", "false"]}, "Comment lines while a stream waits, against silent connections."),
}


@dataclass(frozen=True)
class Operation:
    """`answer`: a struct (JSON), or a media type; `query` and `headers`: name → schema, meaning."""

    summary: str
    lock: str
    answer: Any
    body: Any = None
    refusals: tuple[int | str, ...] = ()
    status: int = 200
    also: tuple[int, ...] = ()  # other statuses with the same answer
    streamed: bool = False  # or as events, where the body wants it
    query: Mapping[str, tuple[_Object, str]] = field(default_factory=dict)
    headers: Mapping[str, tuple[_Object, str]] = field(default_factory=dict)
    answer_headers: Mapping[str, str] = field(default_factory=dict)


def _of_model(path: str) -> Operation:
    streamed = path in endpoints.STREAMED
    return Operation(
        f"Asks a model: {path.removeprefix('/v1/')}; what else the body holds goes to its engine as it came",
        "client",
        JSON,
        peek.KINDS[path],
        OF_MODELS,
        streamed=streamed,
        headers=_TIMES if streamed else {"x-request-timeout": _TIMES["x-request-timeout"]},
    )


_OLD = "As FastChat has it: "
_NOW = {"now": ({"enum": ["1"]}, "Gives what runs no time.")}
_WHOLE = {"type": "integer", "minimum": 0}
_CHANGE = (400, 401, 404, 503)
_OF_ARENA = (400, 401, 403, 404)

OPERATIONS: Mapping[str, Operation] = {
    "GET /": Operation("The page, or what this is where nobody has built it", "", HTML, refusals=(403,)),
    "GET /assets/{name}": Operation("A file of the page", "", "*/*", refusals=(403, 404)),
    "GET /argosy/v1/models": Operation(
        "What the key may use, with states and lines", "client", list[admin.ModelView], refusals=(401, 403)
    ),
    "GET /health": Operation("The gateway lives", "", Health),
    "GET /ready": Operation(
        "Whether every deployment has reached its wanted replicas, or has failed",
        "",
        Ready,
        refusals=(404,),
        also=(503,),
        query={"model": ({"type": "string"}, "This one alone, and then only ready is ready.")},
    ),
    f"GET {PATH}": Operation("This document", "client", JSON, refusals=(401, 403)),
    **{f"POST {path}": _of_model(path) for path in endpoints.ENDPOINTS},
    "POST /v1/engines/{id}/embeddings": Operation(
        _OLD + "/v1/embeddings of the model in the path, where the body names none",
        "client",
        JSON,
        peek.EmbeddingPeek,
        OF_MODELS,
        headers={"x-request-timeout": _TIMES["x-request-timeout"]},
    ),
    "POST /api/v1/chat/completions": Operation(
        _OLD + "/v1/chat/completions; repetition_penalty is llama.cpp's repeat_penalty too",
        "client",
        JSON,
        peek.ChatPeek,
        OF_MODELS,
        streamed=True,
        headers=_TIMES,
    ),
    f"POST {token_check.PATH}": Operation(
        _OLD + "whether prompts and their answers fit the contexts of their models",
        "client",
        token_check.TokenCheckAnswer,
        token_check.TokenCheckRequest,
        OF_MODELS,
    ),
    "GET /v1/models": Operation("What the key may use", "client", ModelList, refusals=(401, 403)),
    "GET /v1/models/{id}": Operation("One model", "client", Model, refusals=(401, 403, 404)),
    "GET /metrics": Operation("For Prometheus", "admin", TEXT, refusals=(401, 403)),
    f"POST {heartbeat.PATH}": Operation(
        "A worker tells of its replica", "join", heartbeat.HeartbeatAnswer, heartbeat.Heartbeat, (400, 401, 413)
    ),
    f"POST {join.PATH}": Operation(
        "A worker that was started by hand asks to be taken: it is called back first",
        "join",
        join.Joined,
        join.Join,
        (400, 401, 409, 413),
    ),
    "PUT /argosy/v1/table": Operation(
        "The controller tells what is wanted", "admin", admin.TableAnswer, admin.FleetTable, (400, 401, 413)
    ),
    "GET /argosy/v1/replicas": Operation(
        "Replicas as this gateway sees them", "admin", list[admin.ReplicaView], refusals=(401,)
    ),
    "POST /argosy/v1/replicas/drain/{id}": Operation(
        "Ends a replica's worker when its requests are through", "admin", Nothing, refusals=_CHANGE, query=_NOW
    ),
    f"POST {replica_log.PATH}": Operation(
        "A worker sends the part of its log that was asked for", "join", Nothing, replica_log.LogPart, (400, 401, 413)
    ),
    f"GET {replica_log.PATH}/{{id}}": Operation(
        "The log of a replica, wherever it runs",
        "admin",
        TEXT,
        refusals=_CHANGE,
        query={"lines": (_WHOLE, "The last so many."), "after": (_WHOLE, "What was written after this byte.")},
        answer_headers={replica_log.END_HEADER: "Where the next part begins."},
    ),
    f"GET {arena.PATH}": Operation(
        "Whether there is an arena here, and who may be drawn", "client", arena.ArenaState, refusals=(401, 403)
    ),
    f"POST {arena.BATTLES}": Operation(
        "Draws two models", "client", arena.DrawnBattle, arena.NewBattle, (*_OF_ARENA, 413, 429, 503), status=201
    ),
    f"POST {arena.SIDE_CHAT}": Operation(
        "Asks a side; nothing in the answer tells its model",
        "client",
        JSON,
        SideChat,
        (*_OF_ARENA, 409, 413, 429, 502, 503, 504),
        streamed=True,
        headers=_TIMES,
    ),
    f"POST {arena.VOTE}": Operation(
        "Gives a battle its vote, and tells the names",
        "client",
        arena.Verdict,
        arena.GivenVote,
        (*_OF_ARENA, 409, 413, 429, 503),
    ),
    f"POST {arena.NAMED_VOTES}": Operation(
        "A vote between two models whose names were shown",
        "client",
        arena.Verdict,
        arena.NamedVote,
        (*_OF_ARENA, 413, 429, 503),
        status=201,
    ),
    f"GET {arena.LEADERBOARD}": Operation(
        "Ratings out of all votes",
        "client",
        Leaderboard,
        refusals=(*_OF_ARENA, 503),
        query={
            "kind": ({"enum": ["anonymous", "named", "all"]}, "Of which votes."),
            "language": ({"type": "string", "pattern": "^[a-z]{2,5}$"}, "Of questions in this language alone; or all."),
        },
    ),
    f"GET {arena.EXPORT}": Operation(
        "All votes that count, as FastChat's log", "admin", LINES, refusals=(401, 404, 503)
    ),
    f"POST {arena.IMPORT}": Operation(
        "Takes the votes of FastChat's log", "admin", arena.Imported, refusals=(401, 404, 413, 503)
    ),
    "GET /argosy/v1/fleet": Operation("State of the fleet", "admin", admin.FleetReport, refusals=(401, 503)),
    "PUT /argosy/v1/fleet": Operation(
        "Applies another fleet", "admin", admin.FleetReport, admin.FleetRequest, (400, 401, 413, 503)
    ),
}
# By the controller, to which the gateway passes them on.
CONTROLLERS: Mapping[str, Operation] = {
    "GET /argosy/v1/fleet/events": Operation("Changes as they happen", "admin", EVENTS, refusals=(401, 503)),
    "POST /argosy/v1/fleet/stop/{name}": Operation("Stops a deployment", "admin", admin.FleetReport, None, _CHANGE),
    "POST /argosy/v1/fleet/start/{name}": Operation(
        "Starts a deployment, or a replica that was drained", "admin", admin.FleetReport, None, _CHANGE
    ),
    "POST /argosy/v1/fleet/scale/{name}": Operation(
        "Gives a deployment so many replicas",
        "admin",
        admin.FleetReport,
        refusals=_CHANGE,
        query={"replicas": ({"type": "integer", "minimum": 0, "maximum": 1000}, "How many.")},
    ),
    "POST /argosy/v1/fleet/restart/{name}": Operation(
        "Replaces every replica of a deployment", "admin", admin.FleetReport, None, _CHANGE
    ),
    "POST /argosy/v1/fleet/drain/{replica}": Operation(
        "Takes a replica out until it is started", "admin", admin.FleetReport, None, _CHANGE
    ),
    "GET /argosy/v1/fleet/machines": Operation(
        "Memory and devices of the fleet's machines", "admin", list[plan.DevicesReport], refusals=(401, 503)
    ),
    "POST /argosy/v1/fleet/pull": Operation(
        "Fetches weights into the cache, and tells how far it is",
        "admin",
        EVENTS,
        refusals=(400, 401, 503),
        query={"source": ({"type": "string"}, "As a fleet file has it; no path.")},
    ),
    "POST /argosy/v1/fleet/down": Operation("Takes the fleet down", "admin", Nothing, refusals=(401, 503), query=_NOW),
}
