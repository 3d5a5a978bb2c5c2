"""Sends parts of the replica's log to the gateways that asked for them. Owns which queries are being answered."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from argosy.errors import InputError, UpstreamError
from argosy.protocol.heartbeat import SIGNATURE_HEADER, sign
from argosy.protocol.replica_log import MOST_BYTES, PATH, LogPart, LogQuery
from argosy.telemetry import tail
from argosy.telemetry.logging import EventLog
from argosy.wire.client import Client

_SEND_SECONDS = 5.0

_log = EventLog("worker")


class LogCourier:
    """Runs for as long as the worker; `run` is its task."""

    def __init__(self, *, client: Client, join_token: str, replica: str, file: Path) -> None:
        self._client = client
        self._join_token = join_token
        self._replica = replica
        self._file = file
        self._asked = asyncio.Queue[tuple[str, LogQuery]]()
        self._open = set[str]()  # ids: the next heartbeat's answer repeats what is being answered

    def ask(self, gateway: str, query: LogQuery) -> None:
        if query.id not in self._open:
            self._open.add(query.id)
            self._asked.put_nowait((gateway, query))

    async def run(self) -> None:
        """Until cancelled. A gateway that is slow holds back no other."""
        async with asyncio.TaskGroup() as group:
            while True:
                gateway, query = await self._asked.get()
                group.create_task(self._send(gateway, query))

    async def _send(self, gateway: str, query: LogQuery) -> None:
        try:
            part = await asyncio.to_thread(self._read, query)
            told = LogPart(query=query.id, replica=self._replica, data=part.data, end=part.end)
            body = msgspec.json.encode(told)
            headers = {"content-type": "application/json", SIGNATURE_HEADER: sign(body, self._join_token)}
            url = f"{gateway}{PATH}"
            answer = await self._client.request("POST", url, headers=headers, body=body, seconds=_SEND_SECONDS)
            if answer.status != 200:
                raise UpstreamError(f"{gateway} answered a part of the log with status {answer.status}")
        except (UpstreamError, InputError, OSError) as error:  # it asks again by its next answer, if it still wants it
            _log.warning("log.not_sent", replica=self._replica, gateway=gateway, reason=str(error))
        finally:
            self._open.discard(query.id)

    def _read(self, query: LogQuery) -> tail.Part:
        if query.after is not None:
            return tail.since(self._file, query.after, most_bytes=MOST_BYTES)
        return tail.last_lines(self._file, query.lines, most_bytes=MOST_BYTES)
