"""Traces and metrics by OpenTelemetry, as a collector on loopback gets them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from collector import Collector, attributes, collecting
from door import Door
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from argosy.protocol.endpoints import EMBEDDINGS
from argosy.telemetry.otlp import Otlp
from engines import FakeEngine, answer, chat_stream, silent_after
from waiting import eventually

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "congo=1"}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as opened:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", opened.address)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
        yield opened


def exporting() -> list[str]:
    """The SDK's threads: they draw from `random` when they try again, which spoils what others draw."""
    return [each.name for each in threading.enumerate() if each.name.startswith("Otel")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert exporting() == []


@pytest.fixture
async def otlp(collector: Collector) -> AsyncIterator[Otlp]:
    made = Otlp({})
    yield made
    await asyncio.to_thread(made.close)


async def spanned(collector: Collector) -> Span:
    return await asyncio.to_thread(collector.span)


async def test_a_span_is_below_the_clients_and_the_engine_is_told_of_it(collector: Collector, otlp: Otlp) -> None:
    async with Door(otlp=otlp) as door, FakeEngine() as engine:
        await door.join(engine)
        assert (await door.chat(headers=TRACED, temperature=0.5, max_tokens=9)).status == 200
        span = await spanned(collector)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    told = engine.asked[0].headers
    assert told["traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"
    assert told["tracestate"] == "congo=1"
    assert (span.name, span.kind) == ("chat m", Span.SPAN_KIND_SERVER)
    said = attributes(span.attributes)
    assert said["gen_ai.operation.name"] == "chat"
    assert (said["gen_ai.request.model"], said["gen_ai.response.model"]) == ("m", "m")
    assert (said["gen_ai.request.temperature"], said["gen_ai.request.max_tokens"]) == (0.5, 9)
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (7, 2)
    assert (said["server.address"], said["server.port"]) == ("127.0.0.1", door.port)
    assert (said["http.response.status_code"], said["argosy.replica"]) == (200, "m.0")
    assert "error.type" not in said
    (call,) = door.calls
    seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
    assert seconds == pytest.approx(call.ended_at - call.arrived_at, abs=1e-5)
    assert collector.services == {"argosy"}


async def test_without_a_parent_a_trace_begins_here(collector: Collector, otlp: Otlp) -> None:
    async with Door(otlp=otlp) as door, FakeEngine(chat_stream("Hel", "lo")) as engine:
        await door.join(engine)
        await door.streamed()
        span = await spanned(collector)
        assert span.parent_span_id == b""
        assert engine.asked[0].headers["traceparent"] == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
    said = attributes(span.attributes)
    assert said["gen_ai.request.stream"] is True
    assert 0 < said["gen_ai.response.time_to_first_chunk"] < 5


async def test_what_the_client_does_not_sample_is_not_sent(collector: Collector, otlp: Otlp) -> None:
    async with Door(otlp=otlp) as door, FakeEngine() as engine:
        await door.join(engine)
        await door.chat(headers={"traceparent": TRACED["traceparent"][:-1] + "0"})
        await door.chat()
        await spanned(collector)
        assert engine.asked[0].headers["traceparent"].endswith("-00")
    assert collector.spans_left == 0


async def test_an_error_has_its_code_and_only_one_of_ours_is_the_spans(collector: Collector, otlp: Otlp) -> None:
    async with Door(otlp=otlp) as door, FakeEngine(silent_after(b"")) as engine:
        await door.chat("nobody")
        await door.join(engine, deployment=None)
        refused = await spanned(collector)
        assert attributes(refused.attributes)["error.type"] == "model_not_found"
        assert refused.status.code == Status.STATUS_CODE_UNSET
        assert refused.name == "chat"  # what a client calls a model has no end
        await door.chat(headers={"x-request-timeout": "0.05"})
        late = await spanned(collector)
    assert attributes(late.attributes)["error.type"] == "total_timeout"
    assert late.status.code == Status.STATUS_CODE_ERROR


async def test_metrics_have_the_conventions_names(collector: Collector) -> None:
    otlp = Otlp({"OTEL_TRACES_EXPORTER": "none"})
    assert otlp.spans is None
    async with Door(otlp=otlp) as door, FakeEngine(answer(), chat_stream("Hel", "lo")) as engine:
        await door.join(engine)
        await door.chat()
        await door.streamed()
        await door.request("POST", EMBEDDINGS, {"model": "nobody", "input": "x"})
        await eventually(lambda: len(door.calls) == 3)
    await asyncio.to_thread(otlp.close)
    told = collector.metrics()
    assert set(told) == {
        "gen_ai.server.request.duration",
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_per_output_token",
        "gen_ai.client.token.usage",
    }
    durations = {
        attributes(point.attributes).get("error.type"): point for point in told["gen_ai.server.request.duration"]
    }
    assert durations[None].count == 2
    assert durations["model_not_found"].count == 1
    assert attributes(durations[None].attributes)["gen_ai.operation.name"] == "chat"
    kinds = {
        attributes(point.attributes)["gen_ai.token.type"]: point.sum for point in told["gen_ai.client.token.usage"]
    }
    assert kinds["input"] > 0 and kinds["output"] > 0


async def test_without_telemetry_an_engine_is_told_the_clients_own_place() -> None:
    async with Door() as door, FakeEngine() as engine:
        await door.join(engine)
        await door.chat(headers=TRACED)
        await door.chat(headers={"traceparent": "nonsense"})
        await door.chat()
    first, *others = [asked.headers for asked in engine.asked]
    assert {name: first[name] for name in TRACED} == TRACED
    assert not any("traceparent" in headers for headers in others)


@pytest.mark.parametrize("listens", [True, False])
async def test_a_collector_that_is_away_holds_up_nobody(monkeypatch: pytest.MonkeyPatch, *, listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        if not listens:
            silent.close()
        otlp = Otlp({})
        async with Door(otlp=otlp) as door, FakeEngine() as engine:
            await door.join(engine)
            assert (await door.chat()).status == 200
        began = time.monotonic()
        await asyncio.to_thread(otlp.close, 0.2)
        assert time.monotonic() - began < 2
        if not listens:
            assert exporting() == []
    await eventually(lambda: not exporting())  # what was in the middle of a question tried no other


async def test_what_the_environment_leaves_out_is_left_out() -> None:
    assert Otlp({"OTEL_SDK_DISABLED": "true"}).meter is None
    otlp = Otlp({"OTEL_METRICS_EXPORTER": "none"})
    assert otlp.meter is None and otlp.spans is not None
    otlp.close()
