"""A message's head that has come before on the same connection, but for the value of its content-length.

Clients and engines say the same in front of every message. What a parser has understood of such bytes once need not be
parsed again; whatever differs in another byte goes to the parser.
"""

from __future__ import annotations

import re
from typing import Generic, TypeVar

T = TypeVar("T")
HEAD_END = b"\r\n\r\n"
_MOST_DIGITS = 10
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,%d})(?=\r\n)" % _MOST_DIGITS, re.IGNORECASE)
_OTHER_FRAMING = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)


class KnownHead(Generic[T]):
    """`meaning`: what the parser made of it."""

    __slots__ = ("_after", "_before", "meaning")

    def __init__(self, before: bytes, after: bytes, meaning: T) -> None:
        self._before = before
        self._after = after
        self.meaning = meaning

    @classmethod
    def of(cls, data: bytes, meaning: T) -> KnownHead[T] | None:
        """Of the message that begins with `data`; None unless its head is there, and its length stands in it once."""
        end = data.find(HEAD_END)
        lengths = list(_LENGTH.finditer(data, 0, end + 2)) if end > 0 else []
        if len(lengths) != 1 or _OTHER_FRAMING.search(data, 0, end):
            return None
        return cls(data[: lengths[0].start(1)], data[lengths[0].end(1) : end + len(HEAD_END)], meaning)

    def body_of(self, data: bytes) -> tuple[int, int] | None:
        """Where the body begins in `data`, and how long it is, of a message with this head; None: it has another."""
        before = self._before
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r", start, start + _MOST_DIGITS + 1)
        digits = data[start:end]
        if end < 0 or not digits.isdigit() or not data.startswith(self._after, end):
            return None
        return end + len(self._after), int(digits)
