"""The door's tests run on the gateway's own event loop, those of the wire client on every loop that it is used on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop
from door import Door

from engines import FakeEngine

Loop = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Loop]:
    if item.path.name.startswith("test_wire"):
        return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with FakeEngine() as started:
        yield started


@pytest.fixture
async def door(engine: FakeEngine) -> AsyncIterator[Door]:
    """With one replica, m.0, that is the engine; a file whose door is another has its own."""
    async with Door() as opened:
        await opened.join(engine)
        yield opened
