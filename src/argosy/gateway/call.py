"""One request at the door, from its arrival to its end, and the record that log, metrics and accounting share.

A `Call` is one to the OpenAI surface's hot paths; a `Visit` is any other, of which only the log is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from argosy.gateway.time_limits import Cancellable
from argosy.protocol.openai import Usage
from argosy.protocol.peek import NOTHING
from argosy.protocol.peek_base import Peek
from argosy.protocol.surfaces import OPENAI, Surface
from argosy.protocol.trace_context import TraceContext
from argosy.registry.records import Deployment

# https://www.w3.org/TR/server-timing/, in milliseconds
_TIMING = b"queue;dur=%.1f, upstream;dur=%.1f, gateway;dur=%.3f"


@dataclass(frozen=True, slots=True)
class Traced:
    """Where a call belongs in a trace (spans.py)."""

    own: TraceContext
    parent: TraceContext | None
    host: bytes  # that the client asked


@dataclass(slots=True, eq=False)
class Call:
    """Filled in as the request goes along; handed to `on_end` once, when it is over. Times are monotonic seconds."""

    request_id: bytes
    path: str
    arrived_at: float
    principal: str = ""  # the key's name; where no key is asked, the client's address
    deadline: float = math.inf  # what the client allows it, where it says so
    client: str = ""  # its address
    model: str = ""  # as the client sent it
    stream: bool = False
    session: bytes = b""  # what the client calls its conversation
    body: bytes = b""  # as the engine is to get it; b"" at the end
    surface: Surface = OPENAI
    found: Peek = NOTHING  # what was seen in the body; at the end of one that is not traced NOTHING
    deployment: Deployment | None = None
    replica: str = ""
    attempts: int = 0
    read_at: float = 0.0  # when its body was here
    leased_at: float = 0.0  # when the last attempt got its replica
    queue_until: float = 0.0  # how long it may wait in line, once it has to
    queued_seconds: float = 0.0  # in line for a replica
    failed_seconds: float = 0.0  # in attempts that failed and were left for another
    gateway_seconds: float = 0.0  # our own share of the wait for an answer (docs/reference/metrics.md)
    answered_at: float = 0.0  # when the first bytes went to the client
    ended_at: float = 0.0
    status: int = 0  # of our answer; 499: the client left before it had one
    events: int = 0  # of the engine's stream, passed on or assembled; but for its last part where usage tells of it
    untold_events: int = 0  # of those, not counted for the replica yet
    told_at: float = 0.0  # when they were last
    error: str = ""  # what went wrong, also after the answer had begun
    fault: str = ""  # its code
    trace_lines: bytes = b""  # header lines by which the engine hears where this belongs in its client's trace
    traced: Traced | None = None  # None: no span is made of it
    usage: Usage | None = None
    task: Cancellable | None = None  # the request's, until its end

    @property
    def started(self) -> bool:
        """The head of our answer has been sent: no other replica can be tried, no status be changed."""
        return self.answered_at > 0.0

    def answer_begins(self, sent_at: float, heard_at: float, now: float) -> bytes:
        """Notes our own share of the wait for an answer; returns the server-timing header that it begins with.

        `sent_at`: when the request went to the engine; `heard_at`: when what the client gets first had come from there.
        """
        queued, failed = self.queued_seconds, self.failed_seconds
        upstream = heard_at - sent_at
        own = self.gateway_seconds = sent_at - self.read_at - queued - failed + now - heard_at
        if queued or failed:
            return _TIMING % (queued * 1000, (upstream + failed) * 1000, own * 1000)
        # The most, quickly: also by 1000.0, as a float by an int is no case that the interpreter has learnt.
        return b"queue;dur=0, upstream;dur=%.1f, gateway;dur=%.3f" % (upstream * 1000.0, own * 1000.0)

    def refusal_begins(self, now: float) -> bytes:
        """The same header for an error of ours."""
        queued, failed = self.queued_seconds, self.failed_seconds
        return _TIMING % (queued * 1000, failed * 1000, (now - self.arrived_at - queued - failed) * 1000)


OnEnd = Callable[[Call], None]
OnEnds = Callable[[Sequence[Call]], None]


@dataclass(frozen=True, slots=True)
class Visit:
    """A request beside the hot paths, when it is over: the models, the fleet's surface, what is not there."""

    request_id: bytes
    method: str
    path: str  # decoded: anything may stand in it
    status: int  # 499: the client left before it had an answer
    seconds: float
    ended_at: float  # monotonic seconds


OnVisit = Callable[[Visit], None]
