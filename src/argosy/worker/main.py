"""A worker's process: what it is told on disk, its signals and its exit code. What it does then is life.py's."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from argosy.config.environment import Environment
from argosy.errors import InputError
from argosy.protocol.replica import ReplicaSpec
from argosy.state import FleetFolder, read_json
from argosy.wire.client import Client
from argosy.wire.tls import fleet_pins
from argosy.worker.guard import become_subreaper
from argosy.worker.life import Beside, Worker


def read_spec(path: Path) -> tuple[ReplicaSpec, FleetFolder]:
    """FLEET/replicas/ID/spec.json: the spec, and the folder of its fleet. Raises InputError."""
    spec = read_json(path, ReplicaSpec)
    if spec is None:
        raise InputError(f"{path}: there is no replica's spec of this version of Argosy")
    return spec, FleetFolder(path.absolute().parents[2])


async def run(
    spec: ReplicaSpec,
    folder: FleetFolder,
    environment: Environment,
    beside_of: Callable[[Client, str], Beside] | None = None,
) -> int:
    """A worker process: its signals and its exit code. Raises InputError for a spec that cannot be served.

    `beside_of`: makes what runs beside it, of its client and the join token.
    """
    become_subreaper()  # a guard that is killed leaves its tree to us
    join_token = environment.join_token or folder.secret("join_token")
    if join_token is None:
        raise InputError(f"no join token: set ARGOSY_JOIN_TOKEN, or start the fleet whose folder is {folder.root}")
    client = Client(pins=fleet_pins(folder))
    try:
        worker = Worker(
            spec=spec,
            folder=folder,
            environment=environment,
            join_token=join_token,
            client=client,
            beside=beside_of(client, join_token) if beside_of is not None else None,
        )
    except ValidationError as error:
        raise InputError(f"the spec of {spec.id} is not for this version of Argosy: {error}") from None
    asked = False

    def on_signal() -> None:
        nonlocal asked
        if asked:
            worker.stop_now()
        asked = True
        worker.drain()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    try:
        return await worker.run()
    finally:
        await client.close()
