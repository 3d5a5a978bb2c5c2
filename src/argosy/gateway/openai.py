"""What is asked of models: reads and checks a request once, finds its deployment, hands it to the relay, ends it once.

Raw ASGI, as this is the path of every request; what is asked seldom (models) is in app.py.
"""

from __future__ import annotations

import asyncio
import math
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from argosy.errors import BadRequestError, NotFoundError, RequestError, TooLargeError
from argosy.gateway.answers import stopping
from argosy.gateway.auth import Gatekeeper, Principal
from argosy.gateway.call import Call, OnEnd
from argosy.gateway.client_address import ClientAddresses
from argosy.gateway.comments import Comments
from argosy.gateway.errors import Send, send_error
from argosy.gateway.relay import Relay
from argosy.gateway.shaping import shaped
from argosy.gateway.time_limits import CLIENT_TOO_SLOW, REQUEST_TIMEOUT
from argosy.gateway.turn import Turn
from argosy.protocol.endpoints import STREAMED
from argosy.protocol.peek import NOTHING, peek
from argosy.protocol.surfaces import OPENAI, surface_of
from argosy.registry.records import Deployment
from argosy.registry.registry import Registry
from argosy.wire.server import CLIENT_LEFT

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
SESSION = b"x-session-id"  # as OpenRouter and others name it: requests with the same one want the same replica
CLIENT_CLOSED_REQUEST = 499  # nginx's number for a client that left; never sent, only logged
_REQUEST_ID = re.compile(rb"[\w.:/+=-]{1,128}")


class OpenAISurface:
    """Serves ENDPOINTS. `clock`: monotonic seconds; `on_end` gets every call when it is over."""

    def __init__(
        self,
        registry: Registry,
        relay: Relay,
        gatekeeper: Gatekeeper,
        addresses: ClientAddresses,
        *,
        max_body_bytes: int,
        comment_seconds: float,
        clock: Callable[[], float],
        on_end: OnEnd,
    ) -> None:
        self._registry = registry
        self._relay = relay
        self._gatekeeper = gatekeeper
        self._addresses = addresses
        self._max_body_bytes = max_body_bytes
        self._comment_seconds = comment_seconds
        self._clock = clock
        self._on_end = on_end
        self._id_prefix = f"req-{secrets.token_hex(4)}-".encode()
        self._ids = 0

    def request_id(self, given: bytes = b"") -> bytes:
        """The client's own x-request-id where it is a sane one, else a new one."""
        if given and _REQUEST_ID.fullmatch(given):
            return given
        self._ids += 1
        return b"%b%x" % (self._id_prefix, self._ids)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        call = Call(b"", scope["path"], self._clock())
        turn: Turn | None = None
        comments: Comments | None = None
        surface = surface_of(call.path)
        try:
            headers = dict(scope["headers"])
            call.request_id = self.request_id(headers.get(b"x-request-id", b""))
            call.client, call.session = self._addresses.of(scope), headers.get(SESSION, b"")
            principal = self._gatekeeper.client(
                headers.get(b"authorization", b""),
                headers.get(b"host", b""),
                headers.get(b"origin", b""),
                call.client,
                scope["headers"],
            )
            call.principal = principal.name
            if principal.meter is not None:
                turn = Turn(principal.name, principal.meter, send, self._clock)
                send = turn.send
                turn.begin()
            if b"x-request-timeout" in headers:
                call.deadline = call.arrived_at + _allowed_seconds(headers[b"x-request-timeout"])
            call.body = await self._body(headers.get(b"content-length", b""), receive)
            call.read_at = self._clock()
            found = call.found = peek(call.path, call.body)
            call.model, call.stream = found.model or "", found.stream is True and call.path in STREAMED
            call.deployment = self._registry.find(call.model)
            if call.deployment is None or (
                principal.models is not None and not principal.may_use(call.model, call.deployment.record.name)
            ):
                raise self.unknown(call.model, principal)
            call.body = shaped(call.deployment.record, call.path, found, call.body)
            if call.stream and headers.get(b"x-wait-comments", b"").lower() == b"true" and surface is OPENAI:
                comments = Comments(send, call.request_id, self._comment_seconds)
                send = comments.send
            await self._relay.serve(call, send)
        except RequestError as error:
            call.error = str(error)
            if not call.started:
                call.status = error.status
                await send_error(send, error, call.request_id, call.refusal_begins(self._clock()), surface)
        except asyncio.CancelledError as cancelled:
            # Swallowed: this task serves this request alone, and its answer is complete or has nobody to go to.
            known = cancelled.args and cancelled.args[0] in (CLIENT_LEFT, CLIENT_TOO_SLOW)
            call.error = cancelled.args[0] if known else "the gateway was stopped"
            if not call.started:
                call.status = CLIENT_CLOSED_REQUEST if call.error == CLIENT_LEFT else stopping().status
                await send_error(send, stopping(), call.request_id, call.refusal_begins(self._clock()), surface)
        finally:
            if comments is not None:
                comments.stop()
            if turn is not None:
                served = (call.started and call.status < 400) or call.status == CLIENT_CLOSED_REQUEST
                turn.end(call.usage, call.body, answered=served)
            call.body, call.found = b"", NOTHING
            call.ended_at = self._clock()
            self._on_end(call)

    async def _body(self, told_length: bytes, receive: Receive) -> bytes:
        if told_length and int(told_length) > self._max_body_bytes:
            raise self._too_large(int(told_length))
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            parts, size = [body], len(body)
            while message.get("more_body"):
                message = await receive()
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > self._max_body_bytes:
                    raise self._too_large(size)
            body = b"".join(parts)
        if len(body) > self._max_body_bytes:
            raise self._too_large(len(body))
        return body

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
