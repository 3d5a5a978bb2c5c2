"""The wire of FastChat's workers: JSON objects, each followed by one zero byte, cut anywhere. Pure.

Owns how frames are found in bytes and what a frame may hold; what they mean to an OpenAI client is wording.py's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from argosy.errors import BrokenAnswerError
from argosy.protocol.openai import Count

END = b"\0"
_LONGEST_FRAME_BYTES = 32 * 1024 * 1024


class FrameUsage(msgspec.Struct, frozen=True):
    """Of the answer so far."""

    prompt_tokens: Count = 0
    completion_tokens: Count = 0


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """`text` is all that was said until now, or the reason of an error. What a worker leaves out is None."""

    text: str = ""
    error_code: int = 0
    usage: FrameUsage | None = None
    finish_reason: str | list[str | None] | None = None  # vLLM's workers tell a list where there are several choices

    @property
    def ended_by(self) -> str | None:
        reason = self.finish_reason
        return reason if isinstance(reason, str) else next(filter(None, reason or ()), None)


_FRAME = msgspec.json.Decoder(Frame)


def read_frame(data: bytes) -> Frame:
    """Raises BrokenAnswerError for what is no frame."""
    try:
        return _FRAME.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenAnswerError(f"the FastChat worker sent what is no frame of its protocol: {error}") from None


def as_frame(fields: dict[str, Any]) -> bytes:
    return msgspec.json.encode(fields) + END


class FrameReader:
    """Puts frames together again; empty ones are left out, as workers send some."""

    def __init__(self) -> None:
        self._tail = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ended with these bytes. Raises BrokenAnswerError for what is none, or has no end."""
        self._tail += data
        if END not in data:
            if len(self._tail) > _LONGEST_FRAME_BYTES:
                raise BrokenAnswerError(f"the FastChat worker sent {len(self._tail)} bytes without a frame's end")
            return []
        *whole, rest = bytes(self._tail).split(END)
        self._tail = bytearray(rest)
        return [read_frame(each) for each in whole if each.strip()]

    def end(self) -> None:
        """No more comes. Raises BrokenAnswerError when a frame was cut off."""
        if self._tail.strip():
            raise BrokenAnswerError("the FastChat worker broke off within a frame")
