"""Tells every gateway of the fleet about this replica, once a second and at once on a change; hears what they answer.

Each gateway has a task of its own: one that is slow or dead holds back no other. Owns the list of gateways and what
each of them said last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from argosy.errors import ConnectError, InputError, UpstreamError
from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.heartbeat import (
    INTERVAL_SECONDS,
    LEASE_SECONDS,
    PATH,
    SIGNATURE_HEADER,
    Command,
    Heartbeat,
    HeartbeatAnswer,
    is_signed,
    sign,
    sign_answer,
)
from argosy.protocol.replica import ReplicaState, ReplicaStatus
from argosy.protocol.replica_log import LogQuery
from argosy.telemetry.logging import EventLog
from argosy.wire.client import Client
from argosy.worker.board import Board
from argosy.worker.listener import Listeners

_ANSWER_SECONDS = 2.0
_FAREWELL_SECONDS = 1.0

_log = EventLog("worker")


@dataclass
class _Gateway:
    """What one gateway said last."""

    url: str
    task: asyncio.Task[None] | None = None
    in_flight: int = 0
    knows_of_drain: bool = False  # it answered a heartbeat that said "draining": it sends nothing new
    refused: bool = False  # nobody listens there: nothing can be in flight through it
    answered_at: float = 0.0  # monotonic
    trouble: str = ""
    refusal: str = ""  # why it sends nothing here, though it hears us

    def is_idle(self, now: float) -> bool:
        """Whether the replica need not wait for it."""
        if self.refused or now - self.answered_at > LEASE_SECONDS:
            return True
        return self.knows_of_drain and self.in_flight == 0


class Announcer:
    """Runs for as long as the worker; `run` is its task."""

    def __init__(
        self,
        *,
        client: Client,
        join_token: str,
        deployment: DeploymentRecord,
        board: Board,
        listeners: Listeners,
        gateways: Iterable[str],
        on_drain: Callable[[], None],
        on_stop: Callable[[], None],
        on_log_query: Callable[[str, LogQuery], None],
    ) -> None:
        self._client = client
        self._join_token = join_token
        self._deployment = deployment
        self._board = board
        self._listeners = listeners
        self._on_drain = on_drain
        self._on_stop = on_stop
        self._on_log_query = on_log_query
        self._seq = 0
        self._gateways = {url: _Gateway(url) for url in map(_normal, gateways)}
        self._heard = asyncio.Condition()
        self._moved = asyncio.Event()  # the list of gateways has changed

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._moved.clear()
                for gateway in self._gateways.values():
                    if gateway.task is None:
                        gateway.task = group.create_task(self._keep_telling(gateway), name=f"announce {gateway.url}")
                await self._moved.wait()

    def amend(self, deployment: DeploymentRecord) -> None:
        """From now on heartbeats carry this record."""
        self._deployment = deployment

    async def drained(self) -> None:
        """Returns when no gateway has a request on this replica. Those that do not answer are not waited for."""
        async with self._heard:
            while not all(gateway.is_idle(time.monotonic()) for gateway in self._gateways.values()):
                await self._heard.wait()  # every attempt notifies, also a failed one

    async def farewell(self) -> None:
        """Tells everybody the last state, once, without waiting long."""
        await asyncio.gather(*(self._tell(gateway, _FAREWELL_SECONDS) for gateway in list(self._gateways.values())))

    async def _keep_telling(self, gateway: _Gateway) -> None:
        while True:
            started, status = time.monotonic(), self._board.status
            await self._tell(gateway, _ANSWER_SECONDS)
            rest = INTERVAL_SECONDS - (time.monotonic() - started)
            if rest > 0:
                await self._board.differs_from(status, rest)

    async def _tell(self, gateway: _Gateway, seconds: float) -> None:
        """One heartbeat and its answer."""
        status = self._board.status
        try:
            answer = await self._exchange(gateway.url, status, seconds)
        except (UpstreamError, InputError, OSError, msgspec.DecodeError) as error:  # InputError: no URL
            gateway.refused = isinstance(error, ConnectError)
            self._note(gateway, str(error))
        else:
            gateway.refused, gateway.answered_at = False, time.monotonic()
            gateway.in_flight = answer.in_flight
            gateway.knows_of_drain = status.state == ReplicaState.DRAINING
            self._note(gateway, "")
            if answer.refused and answer.refused != gateway.refusal:
                _log.warning("gateway.refuses", gateway=gateway.url, reason=answer.refused)
            gateway.refusal = answer.refused
            self._follow(gateway.url, answer)
        async with self._heard:
            self._heard.notify_all()

    async def _exchange(self, url: str, status: ReplicaStatus, seconds: float) -> HeartbeatAnswer:
        if status.address is not None:
            # Where this gateway reaches the engine: itself on this machine, else by a listener on the right interface.
            status = msgspec.structs.replace(status, address=await self._listeners.address_for(url, status.address))
        self._seq = max(self._seq + 1, time.time_ns())
        seq = self._seq
        body = msgspec.json.encode(Heartbeat(seq=seq, status=status, deployment=self._deployment))
        headers = {"content-type": "application/json", SIGNATURE_HEADER: sign(body, self._join_token)}
        answer = await self._client.request("POST", f"{url}{PATH}", headers=headers, body=body, seconds=seconds)
        if answer.status != 200:
            cure = ": is its join token another one?" if answer.status in (401, 403) else ""
            raise UpstreamError(f"{url} answered a heartbeat with status {answer.status}{cure}")
        told = msgspec.json.decode(answer.body, type=HeartbeatAnswer)
        signature = answer.headers.get(SIGNATURE_HEADER, "")
        if told.asks and not is_signed(signature, sign_answer(answer.body, seq, self._join_token)):
            raise UpstreamError(f"{url} gave an order that is not signed with the fleet's join token: not followed")
        return told

    def _follow(self, url: str, answer: HeartbeatAnswer) -> None:
        wanted = list(map(_normal, answer.gateways))
        if wanted and set(wanted) != set(self._gateways):
            for old in set(self._gateways) - set(wanted):
                left = self._gateways.pop(old)
                _log.info("gateway.left", gateway=old)
                if left.task is not None:
                    left.task.cancel()
            for new in wanted:
                if new not in self._gateways:
                    self._gateways[new] = _Gateway(new)
                    _log.info("gateway.joined", gateway=new)
            self._moved.set()
        if Command.DRAIN in answer.commands:
            self._on_drain()
        if Command.STOP in answer.commands:
            self._on_stop()
        for query in answer.logs:
            self._on_log_query(url, query)

    def _note(self, gateway: _Gateway, trouble: str) -> None:
        """A line when it changes between heard and not heard, none for each attempt."""
        if trouble and not gateway.trouble:
            _log.warning("gateway.silent", gateway=gateway.url, reason=trouble)
        elif gateway.trouble and not trouble:
            _log.info("gateway.heard", gateway=gateway.url)
        gateway.trouble = trouble


def _normal(url: str) -> str:
    return url.rstrip("/")
