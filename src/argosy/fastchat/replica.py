"""One model of one old worker as a replica of the fleet: it says so by heartbeats and serves by its adapter.

What a worker of ours is to an engine of its own, this is to a process that somebody else started: it starts and ends
nothing, it only tells how that is. Its state follows what probes of the old worker found (listener.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable

from argosy.config.schema import DEFAULT_MAX_TOKENS
from argosy.fastchat import adapter
from argosy.fastchat.adapter import Adapter
from argosy.fastchat.old_worker import OldWorker
from argosy.fastchat.roll import Registration
from argosy.protocol.deployment import DeploymentRecord, Shaping
from argosy.protocol.heartbeat import engine_key
from argosy.protocol.replica import ReplicaState, ReplicaStatus
from argosy.state import FleetFolder
from argosy.tasks import first_of
from argosy.wire.client import Client
from argosy.wire.serving import listen, server_of
from argosy.worker.announce import Announcer
from argosy.worker.board import Board
from argosy.worker.listener import Listeners
from argosy.worker.log_courier import LogCourier

LOG_NAME = "fastchat"
_FIRST_REVISION = 1  # a fleet file's own word on a deployment of the same name is always newer


def replica_id(model: str, worker: str) -> str:
    """The same at every registration: smollm2.5f3a0c. Six digits, as a worker's that was started by hand."""
    return f"{model}.{hashlib.sha256(worker.encode()).hexdigest()[:6]}"


class OldReplica:
    """Made and run where the event loop is; `run` is its task."""

    def __init__(
        self,
        registration: Registration,
        model: str,
        *,
        folder: FleetFolder,
        client: Client,
        join_token: str,
        gateway: str,
        concurrency: int,
        grace_seconds: float,
        on_drained: Callable[[str], None],
    ) -> None:
        self.id = replica_id(model, registration.name)
        self._url = registration.url
        self._join_token = join_token
        self._grace_seconds = grace_seconds
        self._on_drained = on_drained
        self._adapter = Adapter(OldWorker(client, registration.url), model, self._key)
        self._folder = folder.replica(self.id).root
        self._listener = listen("127.0.0.1", 0)
        self._address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._board = Board(
            folder.replica(self.id).status,
            ReplicaStatus(
                id=self.id,
                generation=1,
                epoch=_epoch(),
                state=ReplicaState.STARTING,
                since=time.time(),
                node=socket.gethostname(),
                worker=secrets.token_hex(8),
                worker_pid=os.getpid(),
                concurrency=concurrency,
                paths=list(adapter.PATHS),
                traits=adapter.TRAITS,
                health=adapter.HEALTH,
            ),
        )
        self._courier = LogCourier(client=client, join_token=join_token, replica=self.id, file=folder.log(LOG_NAME))
        # The gateway is on this machine: nobody needs a way from another one.
        self._listeners = Listeners(client, lambda: None, replica=self.id, join_token=join_token)
        self._announcer = Announcer(
            client=client,
            join_token=join_token,
            deployment=DeploymentRecord(
                name=model,
                revision=_FIRST_REVISION,
                created=int(time.time()),
                shaping=Shaping(max_tokens=DEFAULT_MAX_TOKENS),
            ),
            board=self._board,
            listeners=self._listeners,
            gateways=[gateway],
            on_drain=self.drain,
            on_stop=self.stop_now,
            on_log_query=self._courier.ask,
        )
        self._drain_asked = asyncio.Event()
        self._hurried = asyncio.Event()

    def drain(self) -> None:
        """Finish what runs, then leave the fleet; the old worker itself is not ours to end."""
        self._drain_asked.set()

    def stop_now(self) -> None:
        self._drain_asked.set()
        self._hurried.set()

    def follow(self, registration: Registration) -> None:
        """Its state is what the last probe of the old worker said."""
        if self._drain_asked.is_set():
            return
        state = self._board.state
        if registration.answers and state is not ReplicaState.READY:
            # Behind that address may be another process by now, with another model.
            self._adapter.forget()
            self._board.change(state=ReplicaState.READY, epoch=_epoch(), address=self._address)
        elif not registration.answers:
            told = ReplicaState.STARTING if state is ReplicaState.STARTING else ReplicaState.BACKOFF
            self._board.change(state=told, reason=registration.reason, address=None)

    def serves(self, registration: Registration) -> bool:
        """Whether it still leads to where the worker is registered."""
        return self._url == registration.url

    async def run(self) -> None:
        """Until cancelled, or drained on an order; then its gateways hear that it has left."""
        server = server_of(self._adapter.app(), grace_seconds=1)
        serving = asyncio.create_task(server.serve(sockets=[self._listener]))
        telling = [asyncio.create_task(each) for each in (self._announcer.run(), self._courier.run())]
        try:
            await self._drain_asked.wait()
            self._board.change(state=ReplicaState.DRAINING)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._grace_seconds):
                    await first_of(self._announcer.drained(), self._hurried.wait())
            self._on_drained(self.id)
        finally:
            self._board.change(state=ReplicaState.STOPPED, address=None)
            for task in telling:
                task.cancel()
            await asyncio.gather(*telling, return_exceptions=True)
            await self._announcer.farewell()
            server.should_exit = server.force_exit = True
            await serving
            shutil.rmtree(self._folder, ignore_errors=True)

    def _key(self) -> str:
        return engine_key(self._join_token, self.id, self._board.status.epoch)


def _epoch() -> int:
    return time.time_ns() // 1_000_000
