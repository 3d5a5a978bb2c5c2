"""A replica's log on its way from the worker to whoever asks a gateway for it: a worker has no door of its own.

    GET  /argosy/v1/logs/REPLICA?lines=N or ?after=END   admin key → text; x-argosy-log-end: END, for the next question
         the gateway puts a LogQuery into the answer to the replica's next heartbeat (protocol/heartbeat.py)
    POST /argosy/v1/logs                                 the worker: LogPart as JSON, signed as a heartbeat is → {}

A query's id is drawn by the gateway, kept secret and answered once: a recorded part is of no use to anybody.
"""

from __future__ import annotations

import msgspec

PATH = "/argosy/v1/logs"
END_HEADER = "x-argosy-log-end"
MOST_BYTES = 1024 * 1024  # in one part; twice that in base64 is still less than a gateway takes
MOST_LINES = 100_000


class LogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for the last lines, or for what was written after a place. Repeated until it is answered."""

    id: str
    lines: int = 0
    after: int | None = None  # a byte's place in the file; None: the last lines


class LogPart(msgspec.Struct, frozen=True, kw_only=True):
    query: str  # the query's id
    replica: str
    data: bytes
    end: int  # where the next part begins
