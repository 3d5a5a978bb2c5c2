"""The least that a hop in Python can cost: bytes from a client to an engine and back, not looked at, on uvloop.

A yardstick that is there on every machine. What a gateway costs beyond it is what it does: HTTP twice, keys, routing,
time limits, the log.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools

import uvloop


class Side(asyncio.Protocol):
    """One of the two connections of a hop: what it receives goes to the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        self._early: list[bytes] = []  # received before the other side was there

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's are no asyncio.Transport by type

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early.append(data)
        else:
            assert self.other.transport is not None
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def join(self, other: Side) -> None:
        self.other, other.other = other, self
        for data in self._early:
            self.data_received(data)


async def serve(port: int, engines: list[int]) -> None:
    loop = asyncio.get_running_loop()
    turn = itertools.cycle(engines)
    hops = set[asyncio.Task[None]]()  # a loop keeps only weak references to its tasks

    async def open_hop(client: Side) -> None:
        _, engine = await loop.create_connection(Side, "127.0.0.1", next(turn))
        client.join(engine)

    def accept() -> Side:
        client = Side()
        task = loop.create_task(open_hop(client))
        hops.add(task)
        task.add_done_callback(hops.discard)
        return client

    server = await loop.create_server(accept, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("port", type=int)
    arguments.add_argument("engines", type=int, nargs="+")
    given = arguments.parse_args()
    uvloop.run(serve(given.port, given.engines))
