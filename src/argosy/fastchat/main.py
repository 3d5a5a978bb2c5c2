"""The process of the FastChat listener: what it is made of, its record, its end. Joins the gateway of its own fleet."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from argosy.config.environment import Environment
from argosy.config.schema import FastChat
from argosy.errors import InputError
from argosy.fastchat.addresses import Allowed
from argosy.fastchat.listener import Listener
from argosy.fastchat.replica import LOG_NAME, OldReplica
from argosy.fastchat.roll import Registration
from argosy.processes.identity import ProcessIdentity
from argosy.state import FleetFolder, ProcessRecord, read_json, write_json
from argosy.telemetry.logging import EventLog
from argosy.telemetry.rotation import RotatingLog
from argosy.wire.client import Client
from argosy.wire.serving import address_of, listen, server_of
from argosy.wire.tls import fleet_pins

_LOOK_SECONDS = 0.5
_GRACE_SECONDS = 1.0
_DRAIN_SECONDS = 30.0

_log = EventLog("fastchat")


async def run(
    folder: FleetFolder, settings: FastChat, environment: Environment, owner: ProcessIdentity | None = None
) -> int:
    """Until a signal, or the end of its owner. Raises InputError."""
    join_token = environment.join_token or folder.secret("join_token")
    if join_token is None:
        raise InputError(f"no join token: start the fleet whose folder is {folder.root}")
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    host, _, port = settings.listen.rpartition(":")
    opened = listen(host, int(port), who="the FastChat listener")
    address = address_of(opened)
    client = Client(pins=fleet_pins(folder))
    record = ProcessRecord(identity=ProcessIdentity.own(), address=address)
    write_json(folder.fastchat, record)
    work: list[asyncio.Task[None]] = []
    try:
        ended = asyncio.create_task(_ended(folder, record, ending, owner))
        joining = asyncio.create_task(_gateway(folder))
        await asyncio.wait({ended, joining}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            joining.cancel()
            return 0
        gateway = joining.result()

        def replica_of(registration: Registration, model: str, drained: Callable[[str], None]) -> OldReplica:
            return OldReplica(
                registration,
                model,
                folder=folder,
                client=client,
                join_token=join_token,
                gateway=gateway,
                concurrency=settings.concurrency,
                grace_seconds=_DRAIN_SECONDS,
                on_drained=drained,
            )

        listener = Listener(
            allowed=Allowed(settings.allow), client=client, file=folder.fastchat_workers, replica_of=replica_of
        )
        server = server_of(listener.app(), grace_seconds=_GRACE_SECONDS)
        keeping = asyncio.create_task(listener.run())
        serving = asyncio.create_task(server.serve(sockets=[opened]))
        work = [keeping, serving, asyncio.create_task(RotatingLog(folder.log(LOG_NAME)).keep_small())]
        _log.info("fastchat.listening", address=address, allow=", ".join(settings.allow), gateway=gateway)
        # A listener whose roll is kept no more must not go on taking workers in: it ends, and another is started.
        await asyncio.wait({ended, keeping, serving}, return_when=asyncio.FIRST_COMPLETED)
        server.stop()
        keeping.cancel()
        for result in await asyncio.gather(keeping, serving, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        return 0
    finally:
        for task in work:
            task.cancel()
        await client.close()
        if read_json(folder.fastchat, ProcessRecord) == record:
            folder.fastchat.unlink(missing_ok=True)


async def _ended(
    folder: FleetFolder, record: ProcessRecord, ending: asyncio.Event, owner: ProcessIdentity | None
) -> None:
    """Returns at a signal, or when nobody else would end us: the owner is dead, or the fleet's record names another
    listener or none."""
    while read_json(folder.fastchat, ProcessRecord) == record and (owner is None or owner.alive):
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await ending.wait()
                return
        except TimeoutError:
            continue


async def _gateway(folder: FleetFolder) -> str:
    """Its address, once it lives."""
    while True:
        record = read_json(folder.gateway, ProcessRecord)
        if record is not None and record.address is not None and record.identity.alive:
            return record.address
        await asyncio.sleep(_LOOK_SECONDS / 5)
