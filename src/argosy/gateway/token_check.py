"""POST /api/v1/token_check, as FastChat has it: each prompt's tokens by its engine's own /tokenize, and its context.

The context's length is told by vLLM with the tokens, by others in their list of models.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from argosy.errors import (
    BadRequestError,
    BrokenAnswerError,
    NotFoundError,
    RefusedError,
    RequestError,
    UpstreamTimeoutError,
)
from argosy.gateway.auth import Principal
from argosy.gateway.call import Call
from argosy.gateway.callers import Callers
from argosy.gateway.relay import Relay
from argosy.gateway.reply import KeptReply
from argosy.gateway.turn import Turn
from argosy.gateway.upstreams import Upstreams
from argosy.protocol.endpoints import TOKENIZE
from argosy.protocol.faults import refusal_of
from argosy.protocol.token_check import (
    PATH,
    TokenCheckAnswer,
    TokenCheckPrompt,
    TokenCheckRequest,
    TokenCheckResult,
)
from argosy.registry.registry import Registry
from argosy.wire.request_body import whole_body

ANSWER_SECONDS = 5.0
LONGEST_LIST_BYTES = 1024 * 1024
MOST_KNOWN = 10_000
REQUEST_ID = b"token-check"


class _Tokens(msgspec.Struct):
    tokens: list[int | dict[str, object]] | None = None  # llama.cpp's with_pieces has objects
    count: int | None = None
    max_model_len: int | None = None


class _Meta(msgspec.Struct):
    n_ctx: int | None = None  # of one request, at llama.cpp


class _Card(msgspec.Struct):
    id: str = ""
    max_model_len: int | None = None
    meta: _Meta | None = None


class _Cards(msgspec.Struct):
    data: list[_Card]


_REQUEST = msgspec.json.Decoder(TokenCheckRequest)
_TOKENS = msgspec.json.Decoder(_Tokens)
_CARDS = msgspec.json.Decoder(_Cards)


@dataclass(frozen=True)
class TokenCheck:
    """Its route, over what it needs. `unknown`: what is said to who asks for a model that it may not have."""

    registry: Registry
    relay: Relay
    upstreams: Upstreams
    clock: Callable[[], float]
    callers: Callers
    unknown: Callable[[str, Principal], NotFoundError]
    _lengths: dict[tuple[str, int], int] = field(default_factory=dict)  # (replica, epoch) → of its context

    def routes(self) -> list[Route]:
        return [Route(PATH, self.check, methods=["POST"])]

    async def check(self, request: Request) -> Response:
        principal = self.callers.principal(request)
        turn = Turn(principal.name, principal.meter, self.clock) if principal.meter is not None else None
        try:
            if turn is not None:
                turn.begin()
            asked = _asked(await whole_body(request))
            results = [await self._result(each, principal) for each in asked.prompts]
        finally:
            if turn is not None:
                turn.end(None, b"", 0, answered=False)
        return Response(msgspec.json.encode(TokenCheckAnswer(results)), media_type="application/json")

    async def _result(self, asked: TokenCheckPrompt, principal: Principal) -> TokenCheckResult:
        deployment = self.registry.find(asked.model)
        if deployment is None or not principal.may_use(asked.model, deployment.record.name):
            raise self.unknown(asked.model, principal)
        # llama.cpp reads `content` and `add_special`, vLLM `prompt`; each leaves the other's alone.
        body = {"model": asked.model, "content": asked.prompt, "prompt": asked.prompt, "add_special": True}
        now = self.clock()
        call = Call(REQUEST_ID, TOKENIZE, now, principal=principal.name, model=asked.model, read_at=now)
        call.deployment, call.body = deployment, msgspec.json.encode(body)
        kept = KeptReply()
        await self.relay.serve(call, kept)
        told = _told(kept, call.replica)
        count = told.count if told.count is not None else len(told.tokens or ())
        length = told.max_model_len or await self._length(call.replica, asked.model)
        return TokenCheckResult(count + asked.max_tokens <= length, count, length)

    async def _length(self, replica_id: str, model: str) -> int:
        """Of a request's context there. Raises BadRequestError where the engine does not tell it."""
        replica = self.registry.replicas.get(replica_id)
        if replica is None:
            raise RefusedError(f"{replica_id} left while it was asked", retry_after=1)
        start = replica.id, replica.status.epoch
        if start in self._lengths:
            return self._lengths[start]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                exchange = await self.upstreams.of(replica).get("/v1/models", ANSWER_SECONDS)
                try:
                    cards = _CARDS.decode(await exchange.read_all(LONGEST_LIST_BYTES)).data
                finally:
                    exchange.close()
        except TimeoutError:
            raise UpstreamTimeoutError(
                f"{replica.id}: its list of models did not come within {ANSWER_SECONDS:g} s"
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            cards = []
        names = (replica.status.upstream_model, model, replica.deployment)
        card = next((each for each in cards if each.id in names), cards[0] if len(cards) == 1 else _Card())
        length = card.max_model_len or (card.meta.n_ctx if card.meta is not None else None)
        if not length:
            raise BadRequestError(
                f"The engine of {model} does not tell how long its context is: ask a model on another engine.",
                param="model",
                code="context_length_unknown",
            )
        if replica.status.traits.context is not None:
            length = min(length, replica.status.traits.context)
        if len(self._lengths) >= MOST_KNOWN:
            self._lengths.clear()
        self._lengths[start] = length
        return length


def _asked(body: bytes) -> TokenCheckRequest:
    try:
        return _REQUEST.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal_of(TokenCheckRequest, body, error) from None


def _told(kept: KeptReply, replica: str) -> _Tokens:
    if kept.status != 200:
        said = kept.body[:300].decode("utf-8", "replace")
        refused: RequestError = BadRequestError(f"{replica} counts no tokens ({kept.status}): {said}", param="model")
        refused.status = kept.status
        raise refused
    try:
        told = _TOKENS.decode(kept.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        told = _Tokens()
    if told.count is None and told.tokens is None:
        raise BrokenAnswerError(f"{replica}: its answer at {TOKENIZE} has no tokens")
    return told
