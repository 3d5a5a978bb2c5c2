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
    leased_at: float = 0.0  # when the last attempt got its replica
    answered_at: float = 0.0  # when the first bytes went to the client
    ended_at: float = 0.0
    status: int = 0  # of our answer; 499: the client left before it had one
    error: str = ""  # what went wrong, also after the answer had begun
    usage: Usage | None = None

    @property
    def started(self) -> bool:
        """The head of our answer has been sent: no other replica can be tried, no status be changed."""
        return self.answered_at > 0.0


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
