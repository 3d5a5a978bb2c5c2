"""The worker's process: its log and exit code; what it serves beside its engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argosy.config.environment import Environment

if TYPE_CHECKING:
    from argosy.protocol.replica import ReplicaSpec
    from argosy.wire.client import Client
    from argosy.worker.life import Beside
    from argosy.worker.listener import Target


def run_worker(spec_path: Path, environment: Environment, *, log: Path | None = None) -> int:
    """Hosts the replica of FLEET/replicas/ID/spec.json until it is stopped (0) or gave up (1): the exit code.

    SIGTERM drains, a second one stops at once. `log`: the replica's log, where stdout does not go to it already.
    Raises InputError for a spec that cannot be served.
    """
    from argosy.telemetry import logging  # noqa: PLC0415
    from argosy.worker import main  # noqa: PLC0415

    logging.configure(log)
    spec, folder = main.read_spec(spec_path)
    return asyncio.run(main.run(spec, folder, environment, _fastchat_registration(spec)))


def _fastchat_registration(spec: ReplicaSpec) -> Callable[[Client, str], Beside] | None:
    """What makes a worker's registration at an old FastChat controller; None where it has none."""
    settings = spec.fastchat
    if settings is None:
        return None
    from argosy.fastchat.registration import Registration  # noqa: PLC0415

    def beside_of(client: Client, join_token: str) -> Beside:
        names = [spec.deployment.name, *spec.deployment.aliases]
        secret = f"{join_token} {spec.deployment.name}"

        def beside(target: Callable[[], Target | None]) -> Coroutine[Any, Any, None]:
            return Registration(settings, names=names, secret=secret, client=client, target=target).run()

        return beside

    return beside_of
