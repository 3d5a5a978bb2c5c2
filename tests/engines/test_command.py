import sys
from pathlib import Path
from typing import Any

import pytest
from contract import EngineContract, blueprint_of, start

from argosy.errors import EngineError
from argosy.wire.client import Client

ECHO = [sys.executable, "-m", "argosy.engines.echo_server", "--name", "{name}", "--port", "{port}"]


class TestCommand(EngineContract):
    """Any program will do: the echo engine's."""

    @pytest.fixture
    def deployment(self) -> dict[str, Any]:
        return {"command": ECHO, "env": {"ARGOSY_ENGINE_KEY": "{key}"}, "ready": "/health"}


async def refused(deployment: dict[str, Any], folder: Path) -> EngineError:
    client = Client()
    try:
        with pytest.raises(EngineError) as caught:
            await start(blueprint_of(deployment, folder, client))
        return caught.value
    finally:
        await client.close()


async def test_a_program_that_does_not_exist_is_said_at_once(tmp_path: Path) -> None:
    error = await refused({"command": ["no-such-program", "{port}"]}, tmp_path)
    assert "cannot start 'no-such-program': there is no such program" in str(error)
    assert error.permanent


async def test_an_engines_own_complaint_is_in_the_reason(tmp_path: Path) -> None:
    error = await refused({"command": [sys.executable, "-c", "print('no such model'); raise SystemExit(4)"]}, tmp_path)
    assert "exited with code 4 before it was ready. Last lines: no such model" in str(error)
    assert not error.permanent
