"""When a replica is no longer to be trusted, and how one comes back. Pure rules; the registry applies them.

A replica that was not reached is out at once, one that fails request after request soon, unless it is the last: then a
bad one is better than nobody. The prober asks those that are out, or look as if they should be. Who comes back is on
trial, one request at a time, until one has succeeded; a relapse costs more time each. And whoever has just begun to
serve begins with a small share of the requests.

An error in the engine's own words may be the request's own fault: whoever has such errors is asked a question that
nobody can find fault with, and who answers it is well.
"""

from __future__ import annotations

FAILURES_TO_EJECT = 5  # in a row, with no success between them
FAILURES_TO_PROBE = 2  # one may be its request's own fault
# Without a failure, after which more is sent though nothing has succeeded: answers may take minutes.
TRIAL_SECONDS = 5.0
SLOW_START_SECONDS = 10.0
SLOW_START_SHARE = 0.1  # of its weight, to begin with
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# After a question was answered, in which errors in its own words eject it no more: they lead to the next question.
TRUSTED_SECONDS = 60.0

# The codes of UpstreamError that tell of its health. An answer that was not finished in time (total_timeout) may be the
# client's own limit or its slow reading, and one that was not reached is ejected at once.
TELLING = frozenset({"engine_died", "engine_error", "engine_unavailable", "first_token_timeout", "idle_timeout"})


def is_out(failures: int, *, on_trial: bool, others: bool, trusted: bool = False) -> bool:
    """Whether the failure that was the latest of so many ejects it. `others`: somebody else can take its requests;
    `trusted`: it was found well of late, and this may be the request's own fault."""
    return others and not trusted and (on_trial or failures >= FAILURES_TO_EJECT)


def pause_seconds(ejections: int) -> float:
    """How long it is left alone before it is probed, which was ejected so often without a success in between."""
    if ejections <= 1:
        return 0.0
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(ejections - 1, 16))


def share(serving_seconds: float) -> float:
    """What part of its weight one has that has served for so long. By whole seconds: who came together is alike."""
    if serving_seconds >= SLOW_START_SECONDS:
        return 1.0
    return max(SLOW_START_SHARE, int(serving_seconds) / SLOW_START_SECONDS)
