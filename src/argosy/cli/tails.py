"""Ends of logs, printed line by line: of a file here, or of a replica elsewhere by its gateway."""

from __future__ import annotations

from pathlib import Path

from argosy.fleet.gateway_client import GatewayClient
from argosy.telemetry import tail
from argosy.telemetry.tail import Part

_MOST_BYTES = 64 * 1024 * 1024  # of a file here


class _Printer:
    """Prints whole lines; keeps the beginning of one that has no end yet, and the place where the next part begins."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._rest = b""
        self.end = 0

    def feed(self, part: Part) -> None:
        self.end = part.end
        *whole, self._rest = (self._rest + part.data).split(b"\n")
        for line in whole:
            print(f"{self._prefix}{line.decode(errors='replace')}", flush=True)


class Tail:
    """Of one file, also across its rotation by truncation."""

    def __init__(self, path: Path, prefix: str) -> None:
        self._path = path
        self._printer = _Printer(prefix)

    def last(self, lines: int) -> None:
        self._printer.feed(tail.last_lines(self._path, lines, most_bytes=_MOST_BYTES))

    def more(self) -> None:
        self._printer.feed(tail.since(self._path, self._printer.end, most_bytes=_MOST_BYTES))


class DistantTail:
    """Of one replica's log, by its worker's gateway: each part comes with the worker's next heartbeat."""

    def __init__(self, gateway: GatewayClient, replica: str, prefix: str) -> None:
        self._gateway = gateway
        self._replica = replica
        self._printer = _Printer(prefix)

    async def last(self, lines: int) -> None:
        self._printer.feed(await self._gateway.last_lines(self._replica, lines))

    async def more(self) -> None:
        self._printer.feed(await self._gateway.log_since(self._replica, self._printer.end))
