"""One request of a client key that has limits: let in or refused with 429, told by headers, charged when it is over.

The headers are OpenAI's (https://platform.openai.com/docs/guides/rate-limits). Owns no count: see limits.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from argosy.errors import LimitedError
from argosy.gateway.limits import Bucket, Meter, about_tokens
from argosy.protocol.openai import Usage


class Turn:
    """`clock`: monotonic seconds."""

    __slots__ = ("_clock", "_inside", "_key", "_meter")

    def __init__(self, key: str, meter: Meter, clock: Callable[[], float]) -> None:
        self._key = key
        self._meter = meter
        self._clock = clock
        self._inside = False

    def begin(self) -> None:
        """Raises LimitedError."""
        refusal = self._meter.enter(self._clock())
        if refusal is not None:
            raise LimitedError(
                f"Rate limit reached for the key '{self._key}' on {refusal.what}: limit {refusal.limit}."
                f" Please try again in {duration(refusal.seconds)}.",
                kind=refusal.kind,
                retry_after=math.ceil(refusal.seconds),
            )
        self._inside = True

    def end(self, usage: Usage | None, body: bytes, events: int, *, answered: bool) -> None:
        """Charges what was used. An answer that was cut tells no usage: its events are counted, a token each."""
        if not self._inside:
            return
        tokens = 0
        if usage is not None:
            tokens = usage.prompt_tokens + usage.completion_tokens
        elif answered and self._meter.tokens is not None:
            tokens = about_tokens(body) + events
        self._meter.leave(tokens, self._clock())

    def lines(self) -> bytes:
        """What an answer's head tells of the key's limits now."""
        now, lines = self._clock(), b""
        if self._meter.requests is not None:
            lines += _told(b"requests", self._meter.requests, now)
        if self._meter.tokens is not None:
            lines += _told(b"tokens", self._meter.tokens, now)
        return lines


def _told(kind: bytes, bucket: Bucket, now: float) -> bytes:
    limit, level = bucket.per_minute, bucket.level(now)
    values = (b"%d" % limit, b"%d" % max(0.0, level), duration((limit - level) * 60 / limit).encode())
    names = (b"limit", b"remaining", b"reset")
    return b"".join(
        [b"x-ratelimit-%b-%b: %b\r\n" % (name, kind, value) for name, value in zip(names, values, strict=True)]
    )


def duration(seconds: float) -> str:
    """As OpenAI writes it: 120ms, 7.66s, 6m0s."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds * 100) / 100, 60)
    return f"{int(minutes)}m{rest:.4g}s" if minutes else f"{rest:.4g}s"
