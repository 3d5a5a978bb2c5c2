"""One request of a client key that has limits: let in or refused with 429, told by headers, charged when it is over.

The headers are OpenAI's (https://platform.openai.com/docs/guides/rate-limits). Owns no count: see limits.py.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from argosy.errors import LimitedError
from argosy.gateway.errors import Send
from argosy.gateway.limits import Bucket, Meter, about_tokens
from argosy.protocol.openai import Usage

_REQUESTS = (b"x-ratelimit-limit-requests", b"x-ratelimit-remaining-requests", b"x-ratelimit-reset-requests")
_TOKENS = (b"x-ratelimit-limit-tokens", b"x-ratelimit-remaining-tokens", b"x-ratelimit-reset-tokens")


class Turn:
    """`send` of this is what the request's answer goes through. `clock`: monotonic seconds."""

    __slots__ = ("_clock", "_events", "_inside", "_key", "_meter", "_send")

    def __init__(self, key: str, meter: Meter, send: Send, clock: Callable[[], float]) -> None:
        self._key = key
        self._meter = meter
        self._send = send
        self._clock = clock
        self._inside = False
        self._events = 0

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

    def send(self, message: MutableMapping[str, Any]) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *self._headers()]
        elif self._meter.tokens is not None:
            self._events += message.get("body", b"").count(b"data:")
        return self._send(message)

    def end(self, usage: Usage | None, body: bytes, *, answered: bool) -> None:
        """Charges what was used. An answer that was cut tells no usage: its events are counted, a token each."""
        if not self._inside:
            return
        tokens = 0
        if usage is not None:
            tokens = usage.prompt_tokens + usage.completion_tokens
        elif answered and self._meter.tokens is not None:
            tokens = about_tokens(body) + self._events
        self._meter.leave(tokens, self._clock())

    def _headers(self) -> list[tuple[bytes, bytes]]:
        now, found = self._clock(), list[tuple[bytes, bytes]]()
        if self._meter.requests is not None:
            found += _told(_REQUESTS, self._meter.requests, now)
        if self._meter.tokens is not None:
            found += _told(_TOKENS, self._meter.tokens, now)
        return found


def _told(names: tuple[bytes, bytes, bytes], bucket: Bucket, now: float) -> Iterable[tuple[bytes, bytes]]:
    limit, level = bucket.per_minute, bucket.level(now)
    reset = duration((limit - level) * 60 / limit).encode()
    return zip(names, (b"%d" % limit, b"%d" % max(0.0, level), reset), strict=True)


def duration(seconds: float) -> str:
    """As OpenAI writes it: 120ms, 7.66s, 6m0s."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds * 100) / 100, 60)
    return f"{int(minutes)}m{rest:.4g}s" if minutes else f"{rest:.4g}s"
