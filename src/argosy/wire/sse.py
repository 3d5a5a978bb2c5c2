"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

`EventFramer` cuts a byte stream after whole events without looking into them (the relay); `SseDecoder` reads events
(the command line). Lines may end in LF or CRLF; a lone CR, which no engine sends, is not taken for a line's end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from argosy.errors import BrokenAnswerError

LONGEST_EVENT_BYTES = 32 * 1024 * 1024


class EventFramer:
    """Passes on whole events; the unfinished tail waits for its end."""

    __slots__ = ("tail",)

    def __init__(self) -> None:
        self.tail = b""

    def feed(self, data: bytes) -> bytes:
        """All that is complete now, up to and with the last blank line; b"" when no event has ended yet.

        Raises BrokenAnswerError for an event beyond 32 MiB.
        """
        if self.tail:
            data = self.tail + data
        if data.endswith(b"\n\n"):
            self.tail = b""
            return data
        end = max(data.rfind(b"\n\n") + 2, data.rfind(b"\n\r\n") + 3)
        if end <= 2:  # neither was found: -1 + 2, -1 + 3
            if len(data) > LONGEST_EVENT_BYTES:
                raise BrokenAnswerError(f"the server sent {len(data)} bytes without the end of an event")
            self.tail = data
            return b""
        self.tail = data[end:]
        return data[:end]


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
