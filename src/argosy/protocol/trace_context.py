"""Where a request belongs in its client's trace: two headers, read and written. https://www.w3.org/TR/trace-context/"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PARENT, STATE = b"traceparent", b"tracestate"
SAMPLED = 0x01
_RANDOM = 0x02  # the trace's id was drawn at random: https://www.w3.org/TR/trace-context-2/
_LONGEST_STATE_BYTES = 8192  # 32 members; OpenTelemetry and others pass on what is longer than the 512 that all must
# A later version may have more behind the flags; `ff` is none.
_PARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(rb"[\x20-\x7e\t]*")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span, seen from one that is below it."""

    trace_id: int
    span_id: int
    flags: int = 0
    state: bytes = b""  # what tracing systems have told each other about this trace

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes]) -> TraceContext | None:
        """What a request's headers say; None where they say nothing, or no sense."""
        found = _PARENT.fullmatch(fields.get(PARENT, b""))
        if found is None or (found[1] == b"00" and found[5]):
            return None
        state = fields.get(STATE, b"")
        if len(state) > _LONGEST_STATE_BYTES or not _STATE.fullmatch(state):
            state = b""
        return cls(int(found[2], 16), int(found[3], 16), int(found[4], 16) & (SAMPLED | _RANDOM), state)

    @property
    def sampled(self) -> bool:
        return bool(self.flags & SAMPLED)

    def below(self, span_id: int, *, sampled: bool) -> TraceContext:
        """Of the next span of the same trace."""
        return TraceContext(self.trace_id, span_id, self.flags & ~SAMPLED | sampled, self.state)

    def lines(self) -> bytes:
        """The header lines that tell it to whom is asked next."""
        parent = b"%b: 00-%032x-%016x-%02x\r\n" % (PARENT, self.trace_id, self.span_id, self.flags)
        return parent + (b"%b: %b\r\n" % (STATE, self.state) if self.state else b"")
