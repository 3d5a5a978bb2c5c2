from __future__ import annotations

import pytest

from argosy.protocol.trace_context import TraceContext

TRACE, SPAN = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"
GIVEN = b"00-%b-%b-01" % (TRACE, SPAN)


def test_a_context_goes_on_as_it_came() -> None:
    told = TraceContext.of({b"traceparent": GIVEN, b"tracestate": b"congo=t61rcWkgMzE,rojo=1"})
    assert told is not None and told.sampled
    assert told.lines() == b"traceparent: %b\r\ntracestate: congo=t61rcWkgMzE,rojo=1\r\n" % GIVEN


def test_the_next_span_keeps_the_trace_and_its_state() -> None:
    told = TraceContext.of({b"traceparent": GIVEN[:-2] + b"03", b"tracestate": b"a=1"})
    assert told is not None
    below = told.below(0xAB, sampled=False)
    assert below.lines() == b"traceparent: 00-%b-00000000000000ab-02\r\ntracestate: a=1\r\n" % TRACE
    assert below.below(1, sampled=True).sampled


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"00-" + TRACE + b"-" + SPAN,
        GIVEN + b"-more",  # version 00 has no more
        GIVEN.upper(),
        b"ff" + GIVEN[2:],
        b"00-" + b"0" * 32 + b"-" + SPAN + b"-01",
        b"00-" + TRACE + b"-" + b"0" * 16 + b"-01",
        b" " + GIVEN,
    ],
)
def test_what_makes_no_sense_counts_as_not_said(given: bytes) -> None:
    assert TraceContext.of({b"traceparent": given, b"tracestate": b"a=1"}) is None


def test_a_later_version_may_say_more() -> None:
    told = TraceContext.of({b"traceparent": b"01" + GIVEN[2:] + b"-more"})
    assert told is not None and told.lines() == b"traceparent: %b\r\n" % GIVEN


@pytest.mark.parametrize("state", [b"a=\x00", b"a=1," * 3000, "a=é".encode()])
def test_a_state_that_no_header_may_hold_is_left_out(state: bytes) -> None:
    told = TraceContext.of({b"traceparent": GIVEN, b"tracestate": state})
    assert told is not None and told.state == b""
