"""What is asked of models: reads and checks a request once, finds its deployment, hands it to the relay, ends it once.

The path of every request, so without ASGI between it and the wire; what is asked seldom (models) is in gateway/app.py.
"""

from __future__ import annotations

import asyncio
import functools
import math
import re
import secrets
from collections.abc import Callable, Mapping

from argosy.errors import BadRequestError, NotFoundError, RequestError, TooLargeError
from argosy.gateway.answers import stopping
from argosy.gateway.auth import Gatekeeper, Principal
from argosy.gateway.call import Call, OnEnd
from argosy.gateway.client_address import ClientAddresses
from argosy.gateway.comments import Comments
from argosy.gateway.embedding_batches import EmbeddingBatches
from argosy.gateway.errors import answer_error
from argosy.gateway.old_paths import OldPath, old_path
from argosy.gateway.relay import Relay
from argosy.gateway.reply import Asked, Reply
from argosy.gateway.shaping import shaped
from argosy.gateway.time_limits import CLIENT_TOO_SLOW, REQUEST_TIMEOUT
from argosy.gateway.turn import Turn
from argosy.protocol.endpoints import EMBEDDINGS, STREAMED
from argosy.protocol.peek import NOTHING, peek
from argosy.protocol.surfaces import OPENAI, surface_of
from argosy.protocol.trace_context import PARENT, TraceContext
from argosy.registry.records import Deployment
from argosy.registry.registry import Registry
from argosy.wire.server import CLIENT_LEFT, Handler

SESSION = b"x-session-id"  # as OpenRouter and others name it: requests with the same one want the same replica
CLIENT_CLOSED_REQUEST = 499  # nginx's number for a client that left; never sent, only logged
_FAULTS = {CLIENT_LEFT: "client_left", CLIENT_TOO_SLOW: "client_too_slow"}
OnTrace = Callable[[Call, Mapping[bytes, bytes]], None]
_REQUEST_ID = re.compile(rb"[\w.:/+=-]{1,128}")


class OpenAISurface:
    """Serves ENDPOINTS, and `old` paths that mean one of them. `clock`: monotonic seconds; `on_end` gets every call
    when it is over, `trace` with its headers when it begins."""

    def __init__(
        self,
        registry: Registry,
        relay: Relay,
        batches: EmbeddingBatches,
        gatekeeper: Gatekeeper,
        addresses: ClientAddresses,
        *,
        max_body_bytes: int,
        comment_seconds: float,
        clock: Callable[[], float],
        on_end: OnEnd,
        trace: OnTrace | None = None,
    ) -> None:
        self._registry = registry
        self._relay = relay
        self._batches = batches
        self._gatekeeper = gatekeeper
        self._addresses = addresses
        self._max_body_bytes = max_body_bytes
        self._comment_seconds = comment_seconds
        self._clock = clock
        self._on_end = on_end
        self._trace = trace
        self._id_prefix = f"req-{secrets.token_hex(4)}-".encode()
        self._ids = 0

    def request_id(self, given: bytes = b"") -> bytes:
        """The client's own x-request-id where it is a sane one, else a new one."""
        if given and _REQUEST_ID.fullmatch(given):
            return given
        self._ids += 1
        return b"%b%x" % (self._id_prefix, self._ids)

    def old(self, path: str) -> Handler | None:
        """Serves a path of FastChat's that means one of ours; None for any other."""
        meant = old_path(path)
        return functools.partial(self.serve, old=meant) if meant is not None else None

    async def serve(self, request: Asked, old: OldPath | None = None) -> None:
        """A Handler (wire/server.py): answers it on every path."""
        head, clock = request.head, self._clock
        fields, path = head.fields, head.path if old is None else old.path
        call = Call(b"", path, clock())
        turn: Turn | None = None
        comments: Comments | None = None
        reply: Reply = request
        surface = call.surface = surface_of(path)
        try:
            call.request_id = self.request_id(fields.get(b"x-request-id", b""))
            call.session = fields.get(SESSION, b"")
            if self._trace is not None or PARENT in fields:
                self._place_in_trace(call, fields)
            client = call.client = self._addresses.of(request.client, head.headers)
            principal = self._gatekeeper.client(
                fields.get(b"authorization", b""),
                fields.get(b"host", b""),
                fields.get(b"origin", b""),
                client,
                head.headers,
            )
            call.principal = principal.name
            if principal.meter is not None:
                turn = Turn(principal.name, principal.meter, clock)
                request.told = (*request.told, turn.lines)
                turn.begin()
            if b"x-request-timeout" in fields:
                call.deadline = call.arrived_at + _allowed_seconds(fields[b"x-request-timeout"])
            body = request.take()
            if not request.message_complete or len(body) > self._max_body_bytes:
                body = await self.rest_of_body(request, body)
            self._look_into(call, body if old is None else old.body(body), principal)
            if call.stream and fields.get(b"x-wait-comments", b"").lower() == b"true" and surface is OPENAI:
                reply = comments = Comments(request, call.request_id, self._comment_seconds)
            call.task = request.task
            await (self._batches if path == EMBEDDINGS else self._relay).serve(call, reply)
        except RequestError as error:
            self._refuse(call, reply, error)
        except asyncio.CancelledError as cancelled:
            # Swallowed: this coroutine serves this request alone; its answer is complete or has nobody to go to.
            self._cut(call, reply, cancelled)
        except Exception as error:  # a fault of ours: the server logs it and answers
            _note(call, error)
            raise
        finally:
            if comments is not None:
                comments.stop()
            if turn is not None:
                served = (call.started and call.status < 400) or call.status == CLIENT_CLOSED_REQUEST
                turn.end(call.usage, call.body, call.events, answered=served)
            call.body, call.task = b"", None
            if call.traced is None:
                call.found = NOTHING
            call.ended_at = clock()
            self._on_end(call)

    def _look_into(self, call: Call, body: bytes, principal: Principal) -> None:
        """What is asked, of which deployment, and what its engines are to get. Raises RequestError."""
        clock = self._clock
        call.read_at = clock()
        found = call.found = peek(call.path, body)
        model = call.model = found.model or ""
        call.stream = found.stream is True and call.path in STREAMED
        deployment = call.deployment = self._registry.find(model)
        if deployment is None or (
            principal.models is not None and not principal.may_use(model, deployment.record.name)
        ):
            raise self.unknown(model, principal)
        record = deployment.record
        call.body = body if record.shaping is None else shaped(record, call.path, found, body)

    def _place_in_trace(self, call: Call, fields: Mapping[bytes, bytes]) -> None:
        if self._trace is not None:
            self._trace(call, fields)
        elif (told := TraceContext.of(fields)) is not None:
            call.trace_lines = told.lines()  # no span of ours comes between the client's and the engine's

    def _cut(self, call: Call, reply: Reply, cancelled: asyncio.CancelledError) -> None:
        self._refuse(call, reply, stopping())
        if cancelled.args and (reason := cancelled.args[0]) in _FAULTS:
            call.error, call.fault = reason, _FAULTS[reason]
            if reason == CLIENT_LEFT and not call.started:
                call.status = CLIENT_CLOSED_REQUEST
        else:
            call.error = "the gateway was stopped"

    def _refuse(self, call: Call, reply: Reply, error: RequestError) -> None:
        call.error, call.fault = str(error), error.code or ""
        if not call.started:
            call.status = error.status
            answer_error(reply, error, call.request_id, call.refusal_begins(self._clock()), call.surface)

    async def rest_of_body(self, request: Asked, begun: bytes) -> bytes:
        """All of it. Raises TooLargeError as soon as it is known to be too large."""
        limit = self._max_body_bytes
        if request.length is not None and request.length > limit:
            raise self._too_large(request.length)
        parts, size = [begun], len(begun)
        while size <= limit and not request.message_complete:
            await request.more()
            parts.append(request.take())
            size += len(parts[-1])
        if size > limit:
            raise self._too_large(size)
        return b"".join(parts)

    def _too_large(self, size: int) -> TooLargeError:
        limit = self._max_body_bytes
        return TooLargeError(
            f"The request's body has {size} bytes or more; at most {limit} are taken (gateway.max_body_mib)."
        )

    def models(self, principal: Principal | None = None) -> list[tuple[str, Deployment]]:
        """Names and aliases that the principal may use, in order; None: all."""
        return [
            (name, deployment)
            for name, deployment in self._registry.models()
            if principal is None or principal.may_use(name, deployment.record.name)
        ]

    def unknown(self, model: str, principal: Principal | None = None) -> NotFoundError:
        """What who asks for a model hears that nobody serves; the same for one that its key is not for, so that a key
        finds out no names."""
        names = [name for name, _ in self.models(principal)]
        known = f"those that exist: {', '.join(names)}" if names else "there is none yet"
        denied = ""
        if principal is not None and principal.models is not None:
            denied = f" or the key '{principal.name}' is not for it"
            known = f"those that it is for: {', '.join(names)}" if names else "it is for none that exists"
        return NotFoundError(
            f"The model '{model}' does not exist{denied}; {known}.", param="model", code="model_not_found"
        )


def _note(call: Call, error: Exception) -> None:
    """Ends the record of a call that failed by a fault of ours, and has its traceback name it."""
    call.error, call.fault = "a fault in Argosy", "internal_error"
    if not call.started:
        call.status = 500
    error.add_note(f"The request was {call.request_id.decode('latin-1')} in this log, to {call.path}.")


def _allowed_seconds(given: bytes) -> float:
    """What a client's x-request-timeout allows its request. Raises BadRequestError."""
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        told = given.decode("latin-1")[:40]
        raise BadRequestError(
            f"The header {REQUEST_TIMEOUT} is {told!r}, not a number of seconds above 0.", code="invalid_header"
        )
    return seconds
