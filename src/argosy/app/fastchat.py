"""The process of the listener for old FastChat processes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from argosy.config.environment import Environment
from argosy.state import FleetFolder

if TYPE_CHECKING:
    from argosy.config.schema import FastChat


def run_fastchat(folder: FleetFolder, settings: FastChat, environment: Environment, *, owner: int | None) -> int:
    """The listener for old FastChat processes, until SIGTERM, SIGINT or the end of the process `owner`. Returns the
    exit code.

    Raises InputError when its address cannot be had, or the fleet has no join token.
    """
    from argosy.fastchat import main  # noqa: PLC0415
    from argosy.processes.identity import ProcessIdentity  # noqa: PLC0415
    from argosy.telemetry import logging  # noqa: PLC0415

    logging.configure()
    try:
        who = ProcessIdentity.of(owner) if owner is not None else None
    except ProcessLookupError:
        return 0  # it ended before we began
    return asyncio.run(main.run(folder, settings, environment, who))
