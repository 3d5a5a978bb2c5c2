"""OpenTelemetry's SDK: where spans and metrics leave this process, by OTLP over HTTP, in threads of the SDK's own.

Where to, how often and how much is the SDK's affair, which reads its own environment variables (OTEL_EXPORTER_OTLP_…,
OTEL_TRACES_SAMPLER, …). Imported by app/ alone, and only where it is switched on: the SDK is an extra.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Sampler

from argosy import __version__
from argosy.telemetry.logging import EventLog

SCOPE = "argosy"  # of instrumentation: whose spans and metrics these are
CLOSE_SECONDS = 3.0  # for the last spans and metrics, when the process ends
_GIVE_UP_SECONDS = 0.5  # for threads that were told to try no more
_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_log = EventLog("telemetry")


class Otlp:
    """`spans` and `meter`: None where OTEL_TRACES_EXPORTER or OTEL_METRICS_EXPORTER says `none`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.resource = _resource(variables)
        provider = TracerProvider(resource=self.resource, shutdown_on_exit=False)
        self.sampler: Sampler = provider.sampler  # as OTEL_TRACES_SAMPLER wants it
        self.spans: SpanProcessor | None = None
        self.meter: Meter | None = None
        self._meters: MeterProvider | None = None
        self._exporters: list[OTLPSpanExporter | OTLPMetricExporter] = []
        if (wanted := variables.get(_PROTOCOL, "")) not in ("", "http/protobuf"):
            _log.warning("telemetry.other_protocol", variable=_PROTOCOL, wanted=wanted, spoken="http/protobuf")
        if variables.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return
        if variables.get("OTEL_TRACES_EXPORTER") != "none":
            to_traces = OTLPSpanExporter()
            self._exporters.append(to_traces)
            self.spans = BatchSpanProcessor(to_traces)
        if variables.get("OTEL_METRICS_EXPORTER") != "none":
            to_metrics = OTLPMetricExporter()
            self._exporters.append(to_metrics)
            reader = PeriodicExportingMetricReader(to_metrics)
            self._meters = MeterProvider([reader], resource=self.resource, shutdown_on_exit=False)
            self.meter = self._meters.get_meter(SCOPE, __version__)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Sends what is still here, and ends the threads. A collector that is away holds nobody up.

        Only a thread that waits for the network this very moment is left to the limit of that (10 seconds, unless the
        environment says otherwise) or to the end of the process.
        """
        closing = [threading.Thread(target=each.shutdown, daemon=True) for each in (self.spans, self._meters) if each]
        for thread in closing:
            thread.start()
        _join(closing, seconds)
        if any(thread.is_alive() for thread in closing):
            # The SDK tries again for as long as one export may take, after its processors have been shut down too.
            for exporter in self._exporters:
                exporter.shutdown()
            _join(closing, _GIVE_UP_SECONDS)


def _join(threads: list[threading.Thread], seconds: float) -> None:
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def _resource(variables: Mapping[str, str]) -> Resource:
    told = {"service.version": __version__}
    # What is told here would win over the environment.
    if not variables.get("OTEL_SERVICE_NAME") and "service.name=" not in variables.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        told["service.name"] = "argosy"
    return Resource.create(told)
