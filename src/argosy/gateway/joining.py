"""Takes or refuses workers that were started by hand, before they load anything: see protocol/join.py.

A refusal is a sentence for whoever started the worker. Remembers nothing: who was taken says so by heartbeats.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from argosy.errors import BadRequestError, ConflictError, InputError, UpstreamError
from argosy.gateway.signed import check_age, check_names, signed_body
from argosy.protocol import join
from argosy.protocol.heartbeat import SIGNATURE_HEADER, is_signed
from argosy.registry import claims
from argosy.registry.registry import Registry
from argosy.wire.client import Answer, Client
from argosy.wire.origin import split_url
from argosy.wire.request_body import decoded

_CALL_SECONDS = 3.0
_JOIN = msgspec.json.Decoder(join.Join)
_CALLED_BACK = msgspec.json.Decoder(join.CalledBack)


@dataclass(frozen=True)
class Joining:
    registry: Registry
    client: Client
    join_token: str = field(repr=False)

    def routes(self) -> list[Route]:
        return [Route(join.PATH, self.take, methods=["POST"])]

    async def take(self, request: Request) -> Response:
        """Raises RequestError with the reason, where the worker may not join."""
        asked = decoded(_JOIN, await signed_body(request, "request to join", self.join_token))
        check_age(asked.seq, f"request of {asked.replica!r} to join")
        check_names(asked.replica, asked.deployment, asked.aliases)
        reason = claims.conflict(asked.deployment, asked.aliases, asked.model, self.registry.find)
        if reason:
            raise ConflictError(f"{asked.replica} may not join: {reason}.", code="name_taken")
        await self._call_back(asked)
        return Response(msgspec.json.encode(join.Joined()), media_type="application/json")

    async def _call_back(self, asked: join.Join) -> None:
        """Raises ConflictError where another worker answers there, or nobody."""
        nonce = secrets.token_hex(16)
        headers = {join.NONCE_HEADER: nonce, SIGNATURE_HEADER: join.caller_proof(nonce, self.join_token)}
        try:
            origin, path = split_url(asked.address)
            if path or origin.scheme != "http":
                raise BadRequestError(f"{asked.address} is no address of a worker: http://HOST:PORT is one.")
            url = f"{origin}{join.CALLBACK_PATH}"
            answer = await self.client.request("GET", url, headers=headers, seconds=_CALL_SECONDS)
        except (InputError, UpstreamError) as error:
            raise ConflictError(
                f"{asked.replica} may not join: the gateway does not reach it at {asked.address} ({error})."
                " Open that port to the gateway, or say where it is reached: --advertise ADDRESS, --port PORT.",
                code="worker_not_reached",
            ) from None
        called = _proven(answer, nonce, self.join_token)
        if called is None:
            raise ConflictError(
                f"{asked.replica} may not join: at {asked.address} the gateway reaches something that is no worker of"
                f" this fleet (it answers {answer.status}). Say where this one is reached: --advertise ADDRESS, --port"
                " PORT.",
                code="worker_not_reached",
            )
        if called != asked.replica:
            raise ConflictError(
                f"{asked.replica} may not join: at {asked.address} the gateway reaches the worker of {called}. Two"
                " workers cannot share one address: give this one another --port or --advertise.",
                code="address_taken",
            )


def _proven(answer: Answer, nonce: str, join_token: str) -> str | None:
    """The replica whose worker has answered a call back; None where it was nobody of this fleet."""
    if answer.status != 200:
        return None
    try:
        called = _CALLED_BACK.decode(answer.body).replica
    except msgspec.DecodeError:
        return None
    proof = answer.headers.get(SIGNATURE_HEADER, "")
    return called if is_signed(proof, join.called_proof(nonce, called, join_token)) else None
