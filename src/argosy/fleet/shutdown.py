"""Takes a fleet down by what its folder records: the gateway first, then the workers, then the files.

The controller does it this way, and `argosy down` too when no controller is left. A worker that was started by hand
and joined is nobody's child here: it is not signalled.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil

from argosy.fleet.endings import end_process
from argosy.fleet.launcher import Launcher
from argosy.fleet.planner import planned_id
from argosy.fleet.retirement import retiring_gateways
from argosy.processes.identity import ProcessIdentity
from argosy.state import FleetFolder, ProcessRecord, read_json

_BEYOND_GRACE_SECONDS = 5.0


async def take_down(folder: FleetFolder, launcher: Launcher, *, grace_seconds: float, hurry: asyncio.Event) -> None:
    """Returns when everything is gone. `hurry`: running requests are given no more time."""
    # A closed door first: no new requests, and what runs gets its grace.
    polite = grace_seconds + _BEYOND_GRACE_SECONDS
    await asyncio.gather(*(end_process(who, polite_seconds=polite, hurry=hurry) for who in gateways_of(folder)))
    if (listener := fastchat_of(folder)) is not None:  # its replicas leave with it; old workers are not ours to end
        await end_process(listener, polite_seconds=_BEYOND_GRACE_SECONDS, hurry=hurry)
    # Dead ones are listed too: what they left behind is ended with them.
    await asyncio.gather(
        *(launcher.stop(each.id, grace_seconds=grace_seconds, hurry=hurry) for each in await launcher.list())
    )
    for file in (
        folder.desired,
        folder.request,
        folder.gateway,
        folder.starting_gateway,
        folder.replaced_gateways,
        folder.table,
        folder.fastchat,
        folder.fastchat_workers,
    ):
        file.unlink(missing_ok=True)
    for replica in filter(planned_id, folder.replicas()):
        shutil.rmtree(folder.replica(replica).root)
    with contextlib.suppress(OSError):  # a worker started by hand may live in there
        (folder.root / "replicas").rmdir()


def fastchat_of(folder: FleetFolder) -> ProcessIdentity | None:
    """The FastChat listener, when it lives."""
    record = read_json(folder.fastchat, ProcessRecord)
    return record.identity if record is not None and record.identity.alive else None


def gateways_of(folder: FleetFolder) -> list[ProcessIdentity]:
    """The gateway, one that is starting, and those that were being replaced."""
    own = [read_json(file, ProcessRecord) for file in (folder.gateway, folder.starting_gateway)]
    recorded = [*(each for each in own if each is not None), *retiring_gateways(folder)]
    return list(dict.fromkeys(each.identity for each in recorded if each.identity.alive))
