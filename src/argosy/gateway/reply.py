"""What a request's answer goes through: wire's RequestCycle, or what stands before or instead of it."""

from __future__ import annotations

from typing import Protocol


class Reply(Protocol):
    """`lines`: of a head, as they go out. Nothing that is written after the client has left does any harm."""

    def answer(self, status: int, lines: bytes, body: bytes) -> None: ...
    def begin(self, status: int, lines: bytes, length: int | None = None) -> None: ...
    def write(self, data: bytes) -> bool:
        """Whether the client keeps up; if not, `writable` is to be awaited before the next part."""
        ...

    def end(self, data: bytes = b"") -> None: ...
    async def writable(self) -> None: ...


class KeptReply:
    """An answer that another request of ours waits for, kept in memory. A Reply."""

    def __init__(self) -> None:
        self.status = 0
        self.lines = b""
        self.body = b""

    def answer(self, status: int, lines: bytes, body: bytes) -> None:
        self.status, self.lines, self.body = status, lines, body

    def begin(self, status: int, lines: bytes, length: int | None = None) -> None:
        self.status, self.lines = status, lines

    def write(self, data: bytes) -> bool:
        self.body += data
        return True

    def end(self, data: bytes = b"") -> None:
        self.body += data

    async def writable(self) -> None:
        pass
