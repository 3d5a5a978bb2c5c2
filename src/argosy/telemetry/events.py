"""Changes of state, told to whoever listens now. Owns the subscriptions; keeps no history: a subscriber asks first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from argosy.protocol.admin import Event

_LONGEST_BACKLOG = 10_000  # a subscriber that reads no more is dropped beyond this


class EventStream:
    """One publisher, any number of subscribers, all in one event loop."""

    def __init__(self) -> None:
        self._subscribers: set[asyncio.Queue[Event | None]] = set()
        self._closed = False

    def publish(self, events: Iterable[Event]) -> None:
        for event in events:
            for queue in list(self._subscribers):
                if queue.qsize() >= _LONGEST_BACKLOG:
                    self._subscribers.discard(queue)
                    queue.put_nowait(None)
                else:
                    queue.put_nowait(event)

    async def subscribe(self, present: Callable[[], Iterable[Event]]) -> AsyncIterator[Event]:
        """What `present` tells now, then every later event until `close`: nothing is missed in between."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            for event in present():
                yield event
            while not (self._closed and queue.empty()) and (next_event := await queue.get()) is not None:
                yield next_event
        finally:
            self._subscribers.discard(queue)

    def close(self) -> None:
        """Subscribers get what was published, then their streams end."""
        self._closed = True
        for queue in self._subscribers:
            queue.put_nowait(None)
