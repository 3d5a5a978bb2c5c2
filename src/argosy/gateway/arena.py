"""The arena's surface, under /argosy/v1/arena: battles, votes, the leaderboard, the log. Off unless the fleet file has
`arena`.

Client keys open it as they do the OpenAI surface, the admin key export and import. Who is drawn stays here until the
vote. A chat with a side is no route of Starlette's: its path has names in it, its answer streams (see `handler_of`).
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from argosy.arena.archive import Archive
from argosy.arena.battles import SIDES, Battles, Side
from argosy.arena.draw import draw
from argosy.arena.language import LANGUAGES, OTHER
from argosy.arena.telling import telling_words
from argosy.arena.votes import KINDS, MINIMUM_VOTES, Message, Vote
from argosy.config.schema import Arena
from argosy.errors import BadRequestError, NotFoundError, RequestError, UnavailableError
from argosy.gateway.admin import as_json
from argosy.gateway.arena_chat import Question, chat
from argosy.gateway.arena_log import exported, taken
from argosy.gateway.arena_rates import Rates
from argosy.gateway.auth import Principal
from argosy.gateway.call import OnVisit, Visit
from argosy.gateway.callers import Callers
from argosy.gateway.errors import answer_error
from argosy.gateway.openai import CLIENT_CLOSED_REQUEST, OpenAISurface
from argosy.protocol import arena as wire
from argosy.registry.registry import Registry
from argosy.wire.request_body import decoded, whole_body
from argosy.wire.request_cycle import RequestCycle
from argosy.wire.server import Handler

_SIDE_CHAT = re.compile(wire.SIDE_CHAT.replace("{id}", "([^/]+)").replace("{side}", "([^/]+)"))
_LANGUAGE = re.compile("[a-z]{2,5}")
_NO_TIMING = b"queue;dur=0"

_NEW_BATTLE = msgspec.json.Decoder(wire.NewBattle)
_GIVEN_VOTE = msgspec.json.Decoder(wire.GivenVote)
_NAMED_VOTE = msgspec.json.Decoder(wire.NamedVote)


@dataclass(frozen=True)
class OpenArena:
    """What an arena that is on consists of. `sources`: where each deployment's weights come from."""

    settings: Arena
    sources: Mapping[str, str]
    archive: Archive
    battles: Battles
    battle_rates: Rates
    vote_rates: Rates

    def words(self, name: str, aliases: Sequence[str]) -> frozenset[str]:
        """That would give a deployment away."""
        own = frozenset(word.lower() for word in self.settings.telling_words)
        return telling_words([name, *aliases], self.sources.get(name, "")) | own


class ArenaSurface:
    """`arena`: None where there is none, and `reason` says why. `clock`: monotonic seconds; `chance`: 0 to below 1."""

    def __init__(
        self,
        arena: OpenArena | None,
        reason: str | None,
        *,
        registry: Registry,
        callers: Callers,
        surface: OpenAISurface,
        clock: Callable[[], float],
        chance: Callable[[], float],
        on_visit: OnVisit,
    ) -> None:
        self._arena = arena
        self._reason = reason
        self._registry = registry
        self._callers = callers
        self._surface = surface
        self._clock = clock
        self._chance = chance
        self._on_visit = on_visit

    def routes(self) -> list[Route]:
        return [
            Route(wire.PATH, self.state, methods=["GET"]),
            Route(wire.BATTLES, self.begin, methods=["POST"]),
            Route(wire.SIDE_CHAT, self._not_here, methods=["POST"]),  # for a 405 to other methods
            Route(wire.VOTE, self.vote, methods=["POST"]),
            Route(wire.NAMED_VOTES, self.named_vote, methods=["POST"]),
            Route(wire.LEADERBOARD, self.leaderboard, methods=["GET"]),
            Route(wire.EXPORT, self.export, methods=["GET"]),
            Route(wire.IMPORT, self.take_log, methods=["POST"]),
        ]

    def handler_of(self, path: str) -> Handler | None:
        """Of a POST that is a chat with a side."""
        return self.chat if _SIDE_CHAT.fullmatch(path) else None

    async def close(self) -> None:
        if self._arena is not None:
            await self._arena.archive.close()

    async def state(self, request: Request) -> Response:
        principal, _ = self._who_asks(request)
        names = sorted(self._drawable(principal)) if self._arena is not None else []
        return as_json(wire.ArenaState(self._arena is not None, names, MINIMUM_VOTES, self._reason))

    async def begin(self, request: Request) -> Response:
        principal, address = self._who_asks(request)
        arena = self._open()
        wanted = decoded(_NEW_BATTLE, await whole_body(request) or b"{}")
        weights = self._drawable(principal)
        ready = {name: weight for name, weight in weights.items() if self._registry.deployments[name].routable}
        if len(ready) < len(SIDES):
            raise UnavailableError(
                f"A battle wants two models that are ready; of {len(weights)} that may be drawn {len(ready)} are.",
                code="too_few_models",
                retry_after=5,
            )
        arena.battle_rates.take(principal.name, address)
        a, b = (self._side(arena, name) for name in draw(ready, self._chance))
        battle = arena.battles.begin(principal.name, a, b, wanted.language)
        return _created(wire.DrawnBattle(battle.id, list(SIDES)))

    async def chat(self, request: RequestCycle) -> None:
        """One that gets as far as the OpenAI surface is a Call of its, all others are Visits."""
        head, began, status = request.head, self._clock(), 0
        request_id = self._surface.request_id(head.fields.get(b"x-request-id", b""))
        try:
            principal, _ = self._callers.who(request.client, head.headers)
            arena = self._open()
            found = _SIDE_CHAT.fullmatch(head.path)
            assert found is not None
            battle = arena.battles.find(found[1], principal.name)
            side = battle.side(found[2])
            body = await self._surface.rest_of_body(request, request.take())
            question = Question.of(body, side.model)
            battle.begin(side)
        except RequestError as error:
            status = error.status
            answer_error(request, error, request_id, _NO_TIMING)
        except asyncio.CancelledError:
            status = CLIENT_CLOSED_REQUEST
            raise
        else:
            keep, surface = arena.settings.keep_conversations, self._surface.serve
            await chat(battle, found[2], question, request, request_id=request_id, surface=surface, keep=keep)
        finally:
            if status:
                now = self._clock()
                self._on_visit(Visit(request_id, head.method, head.path, status, now - began, now))

    async def vote(self, request: Request) -> Response:
        principal, address = self._who_asks(request)
        arena = self._open()
        battle = arena.battles.find(request.path_params["id"], principal.name)
        given = decoded(_GIVEN_VOTE, await whole_body(request))
        battle.check_ready()
        arena.vote_rates.take(principal.name, address)
        a, b = battle.sides.values()
        void = battle.void
        kept = a.conversation and b.conversation
        vote = Vote(
            id=battle.id,
            at=time.time(),
            kind="anonymous",
            model_a=a.model,
            model_b=b.model,
            winner=given.winner,
            language=battle.language or OTHER,
            turns=a.turns,
            counted=void is None,
            why_not=void,
            conversations=(_messages(a), _messages(b)) if kept else None,
        )
        battle.voted = True  # before anybody else can: the next line waits
        try:
            await arena.archive.add([vote])
        except UnavailableError:
            battle.voted = False
            raise
        return as_json(wire.Verdict(wire.Pair(a.model, b.model), void is None, void))

    async def named_vote(self, request: Request) -> Response:
        principal, address = self._who_asks(request)
        arena = self._open()
        given = decoded(_NAMED_VOTE, await whole_body(request))
        names = [self._known(name, principal) for name in given.models]
        if names[0] == names[1]:
            raise BadRequestError("Invalid 'models': they are one and the same.", param="models", code="invalid_value")
        arena.vote_rates.take(principal.name, address)
        vote = Vote(
            id=uuid.uuid4().hex,
            at=time.time(),
            kind="named",
            model_a=names[0],
            model_b=names[1],
            winner=given.winner,
            language=given.language if given.language in LANGUAGES else OTHER,
        )
        await arena.archive.add([vote])
        return _created(wire.Verdict(wire.Pair(*names), counted=True))

    async def leaderboard(self, request: Request) -> Response:
        self._who_asks(request)
        arena = self._open()
        kind = request.query_params.get("kind", KINDS[0])
        language = request.query_params.get("language", "all")
        if kind not in (*KINDS, "all"):
            raise BadRequestError(
                f"?kind= is one of {', '.join(KINDS)}, all; got {kind[:40]!r}.", param="kind", code="invalid_value"
            )
        if not _LANGUAGE.fullmatch(language):
            raise BadRequestError(
                f"?language= is a code such as en, or all; got {language[:40]!r}.",
                param="language",
                code="invalid_value",
            )
        return Response(await arena.archive.leaderboard(kind, language), media_type="application/json")

    async def export(self, request: Request) -> Response:
        self._check_admin(request)
        return StreamingResponse(await exported(self._open().archive), media_type="application/x-ndjson")

    async def take_log(self, request: Request) -> Response:
        self._check_admin(request)
        arena = self._open()
        keep = arena.settings.keep_conversations
        return as_json(await taken(request.stream(), arena.archive, keep_conversations=keep))

    async def _not_here(self, request: Request) -> Response:
        raise AssertionError(f"{request.url.path} is a chat with a side, which `handler_of` has")

    def _open(self) -> OpenArena:
        """Raises NotFoundError."""
        if self._arena is None:
            raise NotFoundError(f"There is no arena here: {self._reason}.", code="arena_off")
        return self._arena

    def _drawable(self, principal: Principal) -> dict[str, float]:
        """Weights by name, of deployments that may be drawn for somebody: an alias is no other model."""
        settings = self._open().settings
        return {
            name: settings.weights.get(name, 1.0)
            for name, entry in self._registry.deployments.items()
            if entry.record.task == "generate"
            and (settings.models == "all" or name in settings.models)
            and principal.may_use(name, name)
        }

    def _side(self, arena: OpenArena, name: str) -> Side:
        return Side(name, arena.words(name, self._registry.deployments[name].record.aliases))

    def _known(self, name: str, principal: Principal) -> str:
        """The deployment of a name or an alias. Raises NotFoundError."""
        found = self._registry.find(name)
        if found is None or not principal.may_use(name, found.record.name):
            raise self._surface.unknown(name, principal)
        return found.record.name

    def _who_asks(self, request: Request) -> tuple[Principal, str]:
        return self._callers.who(request.scope["client"], request.headers.raw)

    def _check_admin(self, request: Request) -> None:
        self._callers.gatekeeper.check_admin(request.headers.get("authorization", "").encode())


def _created(value: object) -> Response:
    response = as_json(value)
    response.status_code = 201
    return response


def _messages(side: Side) -> list[Message]:
    return [Message(role, text) for role, text in side.conversation]
