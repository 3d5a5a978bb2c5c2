"""Ports, proofs and silence: what an incarnation does whatever its engine is."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract import KEY, blueprint_of, start
from test_command import ECHO

from argosy.config.environment import Environment
from argosy.engines.base import EngineContext, Launch
from argosy.engines.command import Command
from argosy.engines.echo_server import listen
from argosy.errors import EngineError
from argosy.wire.client import Client
from argosy.worker.incarnation import Incarnation, Patience
from argosy.worker.probe import Listener, Probe

WITH_KEY: dict[str, Any] = {"command": ECHO, "env": {"ARGOSY_ENGINE_KEY": "{key}"}}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    await made.close()


class Unlucky(Command):
    """The engine `command` on a machine where others take the chosen port first, so many times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.strangers: list[socket.socket] = []

    def launch(self, context: EngineContext) -> Launch:
        if self.left:
            self.left -= 1
            self.strangers.append(listen(context.port))
        return super().launch(context)

    def close(self) -> None:
        for stranger in self.strangers:
            stranger.close()


async def test_a_port_that_another_takes_first_is_chosen_again_without_back_off(tmp_path: Path, client: Client) -> None:
    engine = Unlucky(2)
    try:
        running = await start(replace(blueprint_of(WITH_KEY, tmp_path, client), engine=engine))
        assert len(engine.strangers) == 2
        await running.incarnation.stop(0.5)
    finally:
        engine.close()


async def test_after_three_lost_ports_it_says_so(tmp_path: Path, client: Client) -> None:
    engine = Unlucky(9)
    try:
        with pytest.raises(EngineError, match="3 ports in turn"):
            await start(replace(blueprint_of(WITH_KEY, tmp_path, client), engine=engine))
        assert len(engine.strangers) == 3
    finally:
        engine.close()


async def test_a_listener_is_ours_by_its_process_and_a_strangers_by_any_other(tmp_path: Path, client: Client) -> None:
    running = await start(blueprint_of(WITH_KEY, tmp_path, client))
    try:
        probe = Probe(client, running.incarnation.address, "/health", KEY)
        assert await probe.listener([running.pid]) is Listener.OURS
        assert await probe.listener([os.getpid()]) is Listener.STRANGER
    finally:
        await running.incarnation.stop(0.5)


async def test_an_engine_that_answers_no_probe_is_hung(tmp_path: Path, client: Client) -> None:
    patience = Patience(interval_seconds=0.05, probe_seconds=0.2, probes=3)
    running = await start(blueprint_of({"engine": "echo"}, tmp_path, client, patience))
    try:
        os.kill(running.pid, signal.SIGSTOP)
        with pytest.raises(EngineError, match="hung: its engine runs, but answered none of 3 probes"):
            await asyncio.wait_for(running.incarnation.watch(), 5)
    finally:
        await running.incarnation.stop(0)


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path, client: Client) -> None:
    pids: list[int] = []
    started = asyncio.Event()

    def on_pid(pid: int) -> None:
        pids.append(pid)
        started.set()

    blueprint = blueprint_of({"engine": "echo", "options": {"load_seconds": 600}}, tmp_path, client)
    starting = asyncio.create_task(Incarnation.start(blueprint, None, KEY, on_pid))
    await started.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_argosys_own_secrets_are_not_in_an_engines_environment(tmp_path: Path, client: Client) -> None:
    code = (
        "import os; print(*(n for n in os.environ if n.startswith('ARGOSY_') and 'TEST' not in n)); raise SystemExit(1)"
    )
    blueprint = blueprint_of({"command": [sys.executable, "-c", code]}, tmp_path, client)
    secrets = {"ARGOSY_JOIN_TOKEN": "a", "ARGOSY_API_KEY": "b", "ARGOSY_ADMIN_KEY": "c", "ARGOSY_CACHE": "d"}
    with pytest.raises(EngineError, match=r"Last lines: ARGOSY_CACHE \("):
        await start(replace(blueprint, variables=Environment.read({**blueprint.variables, **secrets}).for_others()))
