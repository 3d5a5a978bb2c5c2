"""The load: many connections to one gateway, each sending the same request again as soon as its answer is complete.

Runs as a process of its own, so that one core can be kept for it and the engines: an order a line on stdin, its outcome
a line on stdout, both JSON. Every request that is begun is finished: what a gateway did between order and outcome is
exactly the requests that were counted. Looks into answers only as far as it must to find their end.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

SECONDS_TO_FINISH = 60.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"  # no event of the mock engine ends so, nor any line within a chunk


@dataclass(frozen=True)
class Order:
    """What to send, and for how long to begin requests. `request_file` holds a whole request, head and body."""

    port: int
    request_file: str
    connections: int
    seconds: float


@dataclass
class Outcome:
    requests: int = 0  # answered with 200, to the end
    failed: int = 0


class Slice:
    """The work of one order."""

    def __init__(self, order: Order, loop: asyncio.AbstractEventLoop) -> None:
        self.request = Path(order.request_file).read_bytes()
        self.outcome = Outcome()
        self.over: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._until = 0.0
        self._busy = order.connections

    def begin(self, connections: list[Connection], seconds: float) -> None:
        self._until = self._loop.time() + seconds
        for connection in connections:
            connection.send()

    @property
    def open(self) -> bool:
        return self._loop.time() < self._until

    def connection_done(self) -> None:
        self._busy -= 1
        if self._busy == 0 and not self.over.done():
            self.over.set_result(None)


class Connection(asyncio.Protocol):
    """One client: sends, finds the end of the answer, sends again."""

    __slots__ = ("_done", "_good", "_head", "_in_body", "_left", "_slice", "_tail", "_transport")

    def __init__(self, work: Slice) -> None:
        self._slice = work
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._in_body = False
        self._left: int | None = None  # bytes of the body that are still to come; None: it comes in chunks
        self._tail = b""
        self._good = False
        self._done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's are no asyncio.Transport by type

    def send(self) -> None:
        assert self._transport is not None
        self._transport.write(self._slice.request)

    def data_received(self, data: bytes) -> None:
        if not self._in_body:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            length = _LENGTH.search(data, 0, end)
            self._left = int(length[1]) if length else None
            self._good = data.startswith(b"HTTP/1.1 200")
            self._head, self._tail, self._in_body = b"", b"", True
            data = data[end + 4 :]
        if self._left is None:
            self._tail = data[-5:] if len(data) >= 5 else (self._tail + data)[-5:]
            if self._tail != _LAST_CHUNK:
                return
        else:
            self._left -= len(data)
            if self._left > 0:
                return
        self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done:
            self._slice.outcome.failed += 1
            self._end()

    def _answered(self) -> None:
        self._in_body = False
        if self._good:
            self._slice.outcome.requests += 1
        else:
            self._slice.outcome.failed += 1
        if self._slice.open:
            self.send()
        else:
            self._end()

    def _end(self) -> None:
        self._done = True
        if self._transport is not None:
            self._transport.close()
        self._slice.connection_done()


async def carry_out(order: Order) -> Outcome:
    loop = asyncio.get_running_loop()
    work = Slice(order, loop)
    made = [
        await loop.create_connection(lambda: Connection(work), "127.0.0.1", order.port)
        for _ in range(order.connections)
    ]
    work.begin([connection for _, connection in made], order.seconds)
    async with asyncio.timeout(order.seconds + SECONDS_TO_FINISH):
        await work.over
    return work.outcome


def main() -> None:
    gc.disable()  # a pause of ours would be a pause of the gateway's clients; nothing here makes cycles by the request
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            outcome = runner.run(carry_out(Order(**json.loads(line))))
            print(json.dumps(asdict(outcome)), flush=True)
            gc.collect()


if __name__ == "__main__":
    main()
