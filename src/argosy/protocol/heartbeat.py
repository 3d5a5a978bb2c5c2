"""The heartbeat: how a worker tells every gateway of the fleet that its replica lives, and what it hears back.

    POST /argosy/v1/heartbeat
    x-argosy-signature: hex HMAC-SHA256 of the body, keyed by the join token
    Heartbeat as JSON → HeartbeatAnswer as JSON

One a second; a lease lasts three. The signature covers `seq`, which is the sender's time
and only grows: a recorded one cannot be replayed, not even to a gateway that has not heard the later ones.

An answer that asks for something (commands, logs) is signed too, together with the heartbeat's seq: a worker does what
its own fleet's gateways say, and to this heartbeat only. All of it may be said again and again without harm.
"""

from __future__ import annotations

import enum
import hashlib
import hmac

import msgspec

from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.replica import ReplicaStatus
from argosy.protocol.replica_log import LogQuery

PROTOCOL = 1
PATH = "/argosy/v1/heartbeat"
SIGNATURE_HEADER = "x-argosy-signature"
INTERVAL_SECONDS = 1.0
LEASE_SECONDS = 3.0
LONGEST_SKEW_SECONDS = 120.0  # between the clocks of worker and gateway; an older heartbeat is refused


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    protocol: int = PROTOCOL
    seq: int  # Unix nanoseconds when it was sent; grows with every heartbeat of a replica, over worker restarts too
    status: ReplicaStatus
    deployment: DeploymentRecord


class Command(enum.StrEnum):
    DRAIN = "drain"  # finish what runs, then end
    STOP = "stop"  # end now: wait for nothing that runs


class HeartbeatAnswer(msgspec.Struct, frozen=True, kw_only=True):
    gateways: list[str] = []  # every gateway of the fleet; empty: no change
    in_flight: int = 0  # requests this gateway has on the replica; a drained worker waits for 0 from all
    commands: list[str] = []  # of Command; unknown ones are ignored
    refused: str = ""  # why this gateway sends nothing to a replica that was started by hand
    logs: list[LogQuery] = []  # parts of the replica's log that somebody waits for

    @property
    def asks(self) -> bool:
        """It wants something done, so it must be signed."""
        return bool(self.commands or self.logs)


def sign(body: bytes, join_token: str) -> str:
    """HMAC-SHA256 of a heartbeat's body in hexadecimal (RFC 2104)."""
    return hmac.new(join_token.encode(), body, hashlib.sha256).hexdigest()


def sign_answer(body: bytes, seq: int, join_token: str) -> str:
    """The signature of the answer to the heartbeat with that seq."""
    return sign(b"%d %b" % (seq, body), join_token)


def is_signed(signature: str, expected: str) -> bool:
    """Takes as long for a wrong one as for a right one."""
    return hmac.compare_digest(signature.encode(), expected.encode())


def engine_key(join_token: str, replica: str, epoch: int) -> str:
    """The key of one incarnation of an engine: worker and gateway both derive it, so it never travels."""
    return hmac.new(join_token.encode(), f"engine {replica} {epoch}".encode(), hashlib.sha256).hexdigest()
