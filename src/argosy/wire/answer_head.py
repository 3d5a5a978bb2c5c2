"""What an answer's head says: its bytes, out of which a header is read when somebody asks for it."""

from __future__ import annotations

import re

_FRAMING = re.compile(rb"\r\n(content-length|transfer-encoding):", re.IGNORECASE)


class AnswerHead:
    """Status and headers of an answer. `sized`: it tells where its body ends, and with `chunked` by chunks."""

    __slots__ = ("bytes", "chunked", "content_type", "sized", "status")

    def __init__(self, status: int, head: bytes) -> None:
        framing = [each.lower() for each in _FRAMING.findall(head)]
        self.status = status
        self.bytes = head
        self.sized = bool(framing) or status in (204, 304)
        self.chunked = b"transfer-encoding" in framing
        self.content_type = self.header(b"content-type")

    def header(self, name: bytes) -> bytes | None:
        """The first with that name, which is given in lower case."""
        lower = self.bytes.lower()
        at = lower.find(b"\r\n%b:" % name)
        if at < 0:
            return None
        start = at + len(name) + 3
        return self.bytes[start : self.bytes.find(b"\r\n", start)].strip()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """All of them, names in lower case."""
        lines = self.bytes.split(b"\r\n")[1:-2]
        return [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
