"""What a request's answer goes through: wire's RequestCycle, or what stands before it (comments.py)."""

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
