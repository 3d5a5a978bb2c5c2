"""How a worker that was started by hand asks a gateway to take it, before it fetches or loads anything.

    POST /argosy/v1/join        gateway            Join as JSON, signed as a heartbeat is → Joined, or a refusal
    GET  /argosy/v1/callback    worker's listener  → CalledBack

Before it says yes the gateway calls back the address that the worker tells, and only who knows the join token can give
the answer: an address that cannot be reached, or that leads to another worker, is found out before a model is loaded.
Both sides of a call prove themselves by an HMAC over its nonce, which is drawn anew for each.
"""

from __future__ import annotations

import msgspec

from argosy.protocol.heartbeat import sign
from argosy.protocol.replica import ModelIdentity

PATH = "/argosy/v1/join"
CALLBACK_PATH = "/argosy/v1/callback"
NONCE_HEADER = "x-argosy-nonce"


class Join(msgspec.Struct, frozen=True, kw_only=True):
    seq: int  # Unix nanoseconds when it was sent: an old one is refused
    replica: str
    deployment: str
    aliases: list[str] = []
    model: ModelIdentity | None = None
    node: str = ""
    address: str  # http://host:port: where the gateway is to call back


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """{}: heartbeats may begin."""


class CalledBack(msgspec.Struct, frozen=True, kw_only=True):
    replica: str


def caller_proof(nonce: str, join_token: str) -> str:
    """What a gateway sends with a call."""
    return sign(b"call back %b" % nonce.encode(), join_token)


def called_proof(nonce: str, replica: str, join_token: str) -> str:
    """What the worker of that replica answers it with."""
    return sign(b"called back %b %b" % (nonce.encode(), replica.encode()), join_token)
