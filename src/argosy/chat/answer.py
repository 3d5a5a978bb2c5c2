"""One answer while it comes: what was thought and said, and its figures. Pure: events and times are passed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from argosy.errors import ArgosyError

_AT_ONCE_SECONDS = 0.02


@dataclass(frozen=True)
class Figures:
    """`counted`: the door told the tokens; else they are the pieces that came."""

    prompt_tokens: int
    tokens: int
    counted: bool
    first_token_seconds: float | None
    seconds: float
    finish_reason: str | None  # None: it did not come to its end

    @property
    def tokens_per_second(self) -> float | None:
        """From the first token on: what reading the prompt took is told apart. None where all came at once."""
        spent = self.seconds - (self.first_token_seconds or 0.0)
        return (self.tokens - 1) / spent if self.tokens > 1 and spent > _AT_ONCE_SECONDS else None

    def text(self) -> str:
        about = "" if self.counted else "about "
        parts = [f"{about}{self.tokens} tokens"]
        if rate := self.tokens_per_second:
            parts.append(f"{rate:.1f} tokens/s")
        if self.first_token_seconds is not None:
            parts.append(f"first token after {self.first_token_seconds:.2f} s")
        parts.append(f"{self.seconds:.2f} s in all")
        if self.counted:
            parts.append(f"prompt of {self.prompt_tokens} tokens")
        if self.finish_reason != "stop":
            parts.append(f"ended by {self.finish_reason}" if self.finish_reason else "stopped")
        return ", ".join(parts)


class Answer:
    def __init__(self, asked_at: float) -> None:
        self._asked_at = asked_at
        self._first_at: float | None = None
        self._last_at = asked_at
        self._pieces = 0
        self._usage: Mapping[str, Any] | None = None
        self._finish_reason: str | None = None
        self.model: str | None = None  # as the door names it
        self.thought = ""
        self.said = ""

    def take(self, event: Mapping[str, Any], now: float) -> None:
        """One event of a stream. Raises ArgosyError for an event that tells an error."""
        if error := event.get("error"):
            raise ArgosyError(str(error.get("message", error) if isinstance(error, Mapping) else error))
        self.model = event.get("model") or self.model
        self._usage = event.get("usage") or self._usage
        self._last_at = now
        for choice in event.get("choices") or []:
            delta = choice.get("delta") or {}
            thought = delta.get("reasoning_content") or delta.get("reasoning") or ""  # llama.cpp, vLLM
            said = delta.get("content") or ""
            if thought or said:
                self._pieces += 1
                self._first_at = now if self._first_at is None else self._first_at
            self.thought += thought
            self.said += said
            self._finish_reason = choice.get("finish_reason") or self._finish_reason

    def figures(self) -> Figures:
        usage = self._usage or {}
        return Figures(
            prompt_tokens=usage.get("prompt_tokens") or 0,
            tokens=usage.get("completion_tokens") or self._pieces,
            counted=self._usage is not None,
            first_token_seconds=None if self._first_at is None else self._first_at - self._asked_at,
            seconds=self._last_at - self._asked_at,
            finish_reason=self._finish_reason,
        )
