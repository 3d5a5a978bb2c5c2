"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

`EventFramer` cuts a byte stream after whole events without looking into them (the relay); `SseDecoder` reads events
(the command line). Lines may end in LF or CRLF; a lone CR, which no engine sends, is not taken for a line's end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from argosy.errors import BrokenAnswerError

LONGEST_EVENT_BYTES = 32 * 1024 * 1024
LONG_TAIL_BYTES = 8 * 1024


class EventFramer:
    """Passes on whole events; the unfinished tail waits for its end."""

    __slots__ = ("_held", "_long")

    def __init__(self) -> None:
        self._held = b""
        self._long: bytearray | None = None  # in its place, once it is long

    @property
    def tail(self) -> bytes:
        return self._held if self._long is None else bytes(self._long)

    @tail.setter
    def tail(self, data: bytes) -> None:
        self._held, self._long = data, None

    def feed(self, data: bytes) -> bytes:
        """All that is complete now, up to and with the last blank line; b"" when no event has ended yet.

        Raises BrokenAnswerError for an event beyond 32 MiB.
        """
        if self._held:
            data = self._held + data
        elif self._long is not None:
            return self._feed_long(self._long, data)
        if data.endswith(b"\n\n"):
            self._held = b""
            return data
        end = max(data.rfind(b"\n\n") + 2, data.rfind(b"\n\r\n") + 3)
        if end <= 2:  # neither was found: -1 + 2, -1 + 3
            if len(data) > LONG_TAIL_BYTES:
                self._held, self._long = b"", bytearray(data)
            else:
                self._held = data
            return b""
        self._held = data[end:]
        return data[:end]

    def _feed_long(self, held: bytearray, data: bytes) -> bytes:
        """The same without a copy of all that is held and a search through it for every piece: they may be many."""
        new = len(held) - 2
        held += data
        end = max(held.rfind(b"\n\n", new) + 2, held.rfind(b"\n\r\n", new) + 3)
        if end <= 2:
            if len(held) > LONGEST_EVENT_BYTES:
                raise BrokenAnswerError(f"the server sent {len(held)} bytes without the end of an event")
            return b""
        self._held, self._long = bytes(held[end:]), None
        return bytes(held[:end])


_AFTER_EVENT = re.compile(rb"(?<=\n\n)|(?<=\n\r\n)")


def split_events(data: bytes) -> list[bytes]:
    """Each event with its blank line, of what `EventFramer.feed` gave."""
    return [event for event in _AFTER_EVENT.split(data) if event]


@dataclass(frozen=True, slots=True)
class SseEvent:
    event: str
    data: str


class SseDecoder:
    """Reads events out of a byte stream that may be cut anywhere."""

    def __init__(self) -> None:
        self._framer = EventFramer()

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that ended with these bytes; comments and empty events are left out."""
        events: list[SseEvent] = []
        name, lines = "message", list[str]()
        for line in self._framer.feed(data).decode("utf-8", "replace").replace("\r\n", "\n").split("\n"):
            if not line:
                if lines:
                    events.append(SseEvent(name, "\n".join(lines)))
                name, lines = "message", []
            elif not line.startswith(":"):
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if field == "data":
                    lines.append(value)
                elif field == "event":
                    name = value
        return events
