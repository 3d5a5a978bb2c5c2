"""What the tests of one engine share: a client, and the server that they talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from contract import Running

from argosy.wire.client import Client

_LAST = ("test_its_death_is_noticed_and_told_in_a_sentence", "test_a_stop_leaves_nothing")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What ends the server of a class comes after what only asks it: a start takes a minute."""
    first = {item.parent: at for at, item in reversed(list(enumerate(items)))}
    items.sort(key=lambda item: (first[item.parent], item.name in _LAST))


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
