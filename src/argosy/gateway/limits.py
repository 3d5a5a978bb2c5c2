"""How much a client key may ask for: requests and tokens a minute, requests at once. Pure; the time is passed in.

Both rates are token buckets that hold a minute's worth. A request is let in while there is a whole request and anything
at all of the tokens left; what it used is taken when it is over, so the tokens may fall below zero, and the next
request waits for them. Counts are this gateway's own. Owns no header's name: see turn.py.
"""

from __future__ import annotations

from dataclasses import dataclass


class Bucket:
    """Fills with `per_minute` in a minute, up to as much."""

    __slots__ = ("_at", "_level", "per_minute")

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._level = float(per_minute)
        self._at = now

    def level(self, now: float) -> float:
        """What is left; below zero after more was taken than there was."""
        self._level = min(self.per_minute, self._level + max(0.0, now - self._at) * self.per_minute / 60)
        self._at = now
        return self._level

    def take(self, amount: float, now: float) -> None:
        self._level = self.level(now) - amount

    def seconds_until(self, wanted: float, now: float) -> float:
        """Until it holds as much, if nobody takes anything."""
        return max(0.0, wanted - self.level(now)) * 60 / self.per_minute

    def resized(self, per_minute: int, now: float) -> Bucket:
        """Another size, and as much used."""
        other = Bucket(per_minute, now)
        other.take(self.per_minute - self.level(now), now)
        return other


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which limit a request met."""

    kind: str  # requests | tokens: as OpenAI has it in an error's `type`
    what: str
    limit: int
    seconds: float  # until it is worth another try


class Meter:
    """What one key uses now. Its limits may change while requests run."""

    __slots__ = ("_at_once", "in_flight", "requests", "tokens")

    def __init__(self) -> None:
        self.requests: Bucket | None = None
        self.tokens: Bucket | None = None
        self._at_once: int | None = None
        self.in_flight = 0

    def limit(self, requests: int | None, tokens: int | None, at_once: int | None, now: float) -> None:
        """These hold from now on; what was used stays used."""
        self.requests = _sized(self.requests, requests, now)
        self.tokens = _sized(self.tokens, tokens, now)
        self._at_once = at_once

    def enter(self, now: float) -> Refusal | None:
        """Takes a request in, or says which limit keeps it out; then nothing is taken."""
        if self._at_once is not None and self.in_flight >= self._at_once:
            return Refusal("requests", "concurrent requests", self._at_once, 1.0)
        requests, tokens = self.requests, self.tokens
        if requests is not None and (seconds := requests.seconds_until(1.0, now)) > 0:
            return Refusal("requests", "requests per minute", requests.per_minute, seconds)
        if tokens is not None and tokens.level(now) <= 0:
            return Refusal("tokens", "tokens per minute", tokens.per_minute, tokens.seconds_until(1.0, now))
        if requests is not None:
            requests.take(1.0, now)
        self.in_flight += 1
        return None

    def leave(self, tokens: int, now: float) -> None:
        """It is over and has used so many tokens."""
        self.in_flight -= 1
        if self.tokens is not None:
            self.tokens.take(tokens, now)


def about_tokens(body: bytes) -> int:
    """Roughly the tokens of a request's body, for one whose answer told no usage. What it carries as base64 (pictures,
    sound) is no text, so then nothing is said."""
    return 0 if b";base64," in body else len(body) // 4


def _sized(bucket: Bucket | None, per_minute: int | None, now: float) -> Bucket | None:
    if per_minute is None:
        return None
    if bucket is None:
        return Bucket(per_minute, now)
    return bucket if bucket.per_minute == per_minute else bucket.resized(per_minute, now)
