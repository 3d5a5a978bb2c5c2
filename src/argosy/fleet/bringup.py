"""Makes a fleet wanted: by its controller where one lives, else by starting one that adopts what runs.

Used by the command line; owns request.json, which tells a controller that starts what is wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Mapping

from argosy.config.schema import Fleet
from argosy.errors import ArgosyError, UnavailableError, UpstreamError
from argosy.fleet.client import ControllerClient
from argosy.fleet.exits import wait_exit
from argosy.fleet.last_lines import last_lines
from argosy.fleet.lock import LockedError, only_controller
from argosy.fleet.observer import controller_of
from argosy.processes.detach import DetachedProcess, start_detached
from argosy.processes.identity import ProcessIdentity
from argosy.state import DesiredState, FleetFolder, ProcessRecord, read_json, write_json
from argosy.wire.client import Client

_START_SECONDS = 30.0
_LOOK_SECONDS = 0.05


async def bring_up(
    folder: FleetFolder, fleet: Fleet, client: Client, *, variables: Mapping[str, str]
) -> tuple[ControllerClient, ProcessIdentity]:
    """The controller that now wants this fleet. Raises ArgosyError when none comes up."""
    deadline = time.monotonic() + _START_SECONDS
    child: DetachedProcess | None = None
    refused: ArgosyError | None = None
    while time.monotonic() < deadline:
        record = controller_of(folder)
        if record is not None:
            controller = _client(folder, record, client)
            if child is not None and record.identity == child.identity:
                return controller, record.identity  # it read the request
            try:
                await controller.apply(fleet)
            except (UpstreamError, UnavailableError) as error:  # it is just ending, or just starting: look again
                refused = error
            else:
                return controller, record.identity
        elif child is None or (refused is not None and child.how_it_ended() is not None):
            child, refused = _start(folder, fleet, variables), None
        elif child.how_it_ended() is not None:
            refused = _refusal(folder)
            if refused is None:
                break
        watched = record.identity if record is not None else child.identity if child is not None else None
        assert watched is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):  # a record is a file: nothing to await but an end
                await wait_exit(watched)
    if refused is not None:
        raise ArgosyError(f"fleet {folder.name}: {refused}; try again when it is gone (argosy ps)")
    end = child.how_it_ended() if child else None
    lines = last_lines(folder.log("controller"))
    raise ArgosyError(
        f"the controller of fleet {folder.name} {end or 'does not come up'}. Last lines:\n{lines}\n"
        f"(argosy logs controller --fleet {folder.name})"
    )


def _refusal(folder: FleetFolder) -> ArgosyError | None:
    """Why a controller that was just started ended, where another one holds the fleet: it starts, or it ends."""
    try:
        with only_controller(folder):
            return None
    except LockedError as error:
        return error


def _client(folder: FleetFolder, record: ProcessRecord, client: Client) -> ControllerClient:
    key = folder.secret("admin_key")
    assert record.address is not None, "a controller records its address"
    assert key is not None, "a controller makes the admin key before it records itself"
    return ControllerClient(client, address=record.address, admin_key=key)


def _start(folder: FleetFolder, fleet: Fleet, variables: Mapping[str, str]) -> DetachedProcess:
    before = read_json(folder.desired, DesiredState)
    now = time.time_ns() // 1_000_000
    wanted = DesiredState(
        fleet=fleet.model_dump(mode="json", exclude_defaults=True),
        revision=max(now, before.revision + 1 if before else 0),
        restarts=before.restarts if before else {},  # one that a dead controller had begun is carried on
    )
    write_json(folder.request, wanted)
    return start_detached(
        [sys.executable, "-m", "argosy", "controller", "--folder", str(folder.root)],
        log=folder.log("controller"),
        cwd=folder.root,
        env=variables,
    )
