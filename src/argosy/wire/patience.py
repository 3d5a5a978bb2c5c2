"""How long a client is waited for on its connection. Pure; server.py tells since when, and ends what is over."""

from __future__ import annotations

HEAD_SECONDS = 15.0  # a request's head must be complete within this
BODY_SECONDS = 30.0  # the longest silence within a request's body
IDLE_SECONDS = 75.0  # between two requests; longer than clients and proxies keep a connection themselves
DRAIN_SECONDS = 5.0  # for a refused body's rest to be thrown away, and for a last answer to be taken by its client
LOOK_SECONDS = 5.0  # between two looks at a connection


def is_over(now: float, *, head: float | None, body: float | None, idle: float | None) -> bool:
    """Whether one of these has been waited for too long. Each since when, in seconds of the same clock; None: it is not
    waited for."""
    waits = ((head, HEAD_SECONDS), (body, BODY_SECONDS), (idle, IDLE_SECONDS))
    return any(since is not None and now - since > seconds for since, seconds in waits)
