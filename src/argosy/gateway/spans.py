"""A span for each call: its place in the client's trace when it begins, all else from the record when it has ended.

Nothing wraps a request: the ids are drawn and the sampler is asked at the beginning, as the engine is told of them, and
the span is made with the others of its batch (ledger.py), times and all. Imported only where telemetry is on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from argosy import __version__
from argosy.gateway.call import Call, Traced
from argosy.gateway.conventions import common, failed, operation_of
from argosy.protocol.peek import Generation
from argosy.protocol.peek_base import Peek
from argosy.protocol.trace_context import TraceContext
from argosy.telemetry.otlp import SCOPE

_LONGEST_TEXT = 200  # characters of what a client has sent
_SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty")


class Spans:
    """`clock`: the one that a call's times are read from."""

    def __init__(
        self, processor: SpanProcessor, sampler: Sampler, resource: Resource, clock: Callable[[], float]
    ) -> None:
        self._processor = processor
        self._sampler = sampler
        self._resource = resource
        self._clock = clock
        self._scope = InstrumentationScope(SCOPE, __version__)

    def begin(self, call: Call, fields: Mapping[bytes, bytes]) -> None:
        """Notes in the call where it belongs, and what its engine is told of it."""
        parent = TraceContext.of(fields)
        trace_id = parent.trace_id if parent is not None else random.getrandbits(128) or 1
        context = None
        if parent is not None:
            context = trace.set_span_in_context(NonRecordingSpan(_context(parent, remote=True)))
        asked = self._sampler.should_sample(context, trace_id, operation_of(call.path), SpanKind.SERVER)
        above = parent or TraceContext(trace_id, 0)
        own = above.below(random.getrandbits(64) or 1, sampled=asked.decision is Decision.RECORD_AND_SAMPLE)
        call.traced, call.trace_lines = Traced(own, parent, fields.get(b"host", b"")), own.lines()

    def ended(self, calls: Sequence[Call]) -> None:
        for call in calls:
            self._end(call)

    def _end(self, call: Call) -> None:
        """On every request's end."""
        traced = call.traced
        if traced is None or not traced.own.sampled:
            return
        parent = traced.parent
        since = time.time() - self._clock()
        told = common(call)
        model = call.model[:_LONGEST_TEXT]
        status = Status(StatusCode.ERROR, call.error[:_LONGEST_TEXT]) if failed(call) else Status()
        self._processor.on_end(
            ReadableSpan(
                name=f"{operation_of(call.path)} {model}" if call.deployment is not None else operation_of(call.path),
                context=_context(traced.own),
                parent=_context(parent, remote=True) if parent is not None else None,
                resource=self._resource,
                attributes={**told, **_http(call, traced.host), **_asked(call.found), **_answered(call)},
                kind=SpanKind.SERVER,
                status=status,
                start_time=int((since + call.arrived_at) * 1e9),
                end_time=int((since + call.ended_at) * 1e9),
                instrumentation_scope=self._scope,
            )
        )


def _context(told: TraceContext, *, remote: bool = False) -> SpanContext:
    state = TraceState.from_header([told.state.decode("ascii")]) if told.state else None
    return SpanContext(told.trace_id, told.span_id, remote, TraceFlags(told.flags), state)


def _http(call: Call, asked: bytes) -> dict[str, Any]:
    """https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span"""
    host, _, port = asked.decode("latin-1")[:_LONGEST_TEXT].rpartition(":")
    if not port.isdecimal() or port.endswith("]"):
        host, port = f"{host}:{port}" if host else port, ""
    told: dict[str, Any] = {
        "http.request.method": "POST",
        "http.route": call.path,
        "url.path": call.path,
        "http.response.status_code": call.status,
        "client.address": call.client,
        "server.address": host.strip("[]"),
        "argosy.request.id": call.request_id.decode("latin-1"),
        "argosy.key": call.principal if call.principal != call.client else "",
    }
    if port:
        told["server.port"] = int(port)
    return {name: value for name, value in told.items() if value != ""}


def _asked(found: Peek) -> dict[str, Any]:
    """The settings that the client chose; never what it wrote."""
    if not isinstance(found, Generation):
        return {}
    told: dict[str, Any] = {
        f"gen_ai.request.{name}": value for name in _SAMPLING if (value := getattr(found, name)) is not None
    }
    bound = next((each for each in (found.max_completion_tokens, found.max_tokens) if isinstance(each, int)), None)
    if bound is not None:
        told["gen_ai.request.max_tokens"] = bound
    if found.n is not None and found.n != 1:
        told["gen_ai.request.choice.count"] = found.n
    return told


def _answered(call: Call) -> dict[str, Any]:
    told: dict[str, Any] = {"gen_ai.request.stream": call.stream}
    if call.usage is not None:
        told["gen_ai.usage.input_tokens"] = call.usage.prompt_tokens
        told["gen_ai.usage.output_tokens"] = call.usage.completion_tokens
    if call.answered_at and call.stream:
        told["gen_ai.response.time_to_first_chunk"] = call.answered_at - call.arrived_at
    if call.attempts:
        told["argosy.replica"] = call.replica
        told["argosy.attempts"] = call.attempts
        told["argosy.queue.seconds"] = call.queued_seconds
    return told
