"""One request at the door, from its arrival to its end, and the record that log, metrics and accounting share.

A `Call` is one to the OpenAI surface's hot paths; a `Visit` is any other, of which only the log is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from argosy.protocol.openai import Usage
from argosy.registry.records import Deployment


@dataclass(slots=True)
class Call:
    """Filled in as the request goes along; handed to `on_end` once, when it is over. Times are monotonic seconds."""

    request_id: bytes
    path: str
    arrived_at: float
    principal: str = ""
    model: str = ""  # as the client sent it
    stream: bool = False
    body: bytes = b""
    deployment: Deployment | None = None
    replica: str = ""
    attempts: int = 0
    read_at: float = 0.0  # when its body was here
    leased_at: float = 0.0  # when the last attempt got its replica
    queued_seconds: float = 0.0  # in line for a replica
    failed_seconds: float = 0.0  # in attempts that failed and were left for another
    sent_at: float = 0.0  # when the last attempt's request went to the engine
    heard_at: float = 0.0  # when what is sent first (an event, a plain answer) had come from the engine
    answered_at: float = 0.0  # when the first bytes went to the client
    ended_at: float = 0.0
    status: int = 0  # of our answer; 499: the client left before it had one
    error: str = ""  # what went wrong, also after the answer had begun
    usage: Usage | None = None

    @property
    def started(self) -> bool:
        """The head of our answer has been sent: no other replica can be tried, no status be changed."""
        return self.answered_at > 0.0

    @property
    def gateway_seconds(self) -> float:
        """Our own share of the wait for an answer: from the body's end to the engine, and back to the client."""
        return self._before() + self.answered_at - self.heard_at

    def server_timing(self, now: float) -> bytes:
        """The header of an answer that begins now (https://www.w3.org/TR/server-timing/), in milliseconds."""
        failed = self.failed_seconds
        if self.heard_at:
            upstream, own = failed + self.heard_at - self.sent_at, self._before() + now - self.heard_at
        else:  # an error of ours
            upstream, own = failed, now - self.arrived_at - self.queued_seconds - failed
        return b"queue;dur=%.1f, upstream;dur=%.1f, gateway;dur=%.3f" % (
            self.queued_seconds * 1000,
            upstream * 1000,
            own * 1000,
        )

    def _before(self) -> float:
        return self.sent_at - self.read_at - self.queued_seconds - self.failed_seconds


OnEnd = Callable[[Call], None]


@dataclass(frozen=True, slots=True)
class Visit:
    """A request beside the hot paths, when it is over: the models, the fleet's surface, what is not there."""

    request_id: bytes
    method: str
    path: str  # decoded: anything may stand in it
    status: int  # 499: the client left before it had an answer
    seconds: float


OnVisit = Callable[[Visit], None]
