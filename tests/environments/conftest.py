"""What the tests of one engine share: a client, and the server that they talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from contract import Running

from argosy.wire.client import Client


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def lasting_client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def kept() -> AsyncIterator[list[Running]]:
    """Those that were started, the latest last."""
    made: list[Running] = []
    yield made
    for running in made:
        await running.incarnation.stop(5)
