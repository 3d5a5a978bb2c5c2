"""What a request is to the OpenAI surface, and what its answer goes through: wire's RequestCycle, or what stands before
or instead of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from argosy.wire.driven import Driven
from argosy.wire.request_head import RequestHead


class Reply(Protocol):
    """`lines`: of a head, as they go out. Nothing that is written after the client has left does any harm."""

    def answer(self, status: int, lines: bytes, body: bytes) -> None: ...
    def begin(self, status: int, lines: bytes, length: int | None = None) -> None: ...
    def write(self, data: bytes) -> bool:
        """Whether the client keeps up; if not, `writable` is to be awaited before the next part."""
        ...

    def end(self, data: bytes = b"") -> None: ...
    async def writable(self) -> None: ...


class Asked(Reply, Protocol):
    """`told`: makers of header lines that go out with any answer. `length`: of the body, where the head tells it."""

    told: tuple[Callable[[], bytes], ...]

    @property
    def head(self) -> RequestHead: ...
    @property
    def client(self) -> tuple[str, int] | None: ...
    @property
    def task(self) -> asyncio.Task[None] | Driven | None: ...
    @property
    def length(self) -> int | None: ...
    @property
    def message_complete(self) -> bool: ...
    def take(self) -> bytes:
        """What has come of the body and has not been taken."""
        ...

    async def more(self) -> None:
        """Until there is something to take, or the body is complete, or the client has left."""
        ...


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
