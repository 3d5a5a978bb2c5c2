"""An OpenTelemetry collector as far as a test needs one: OTLP over HTTP, decoded by OpenTelemetry's own types."""

from __future__ import annotations

import gzip
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SECONDS = 5.0


class Collector:
    """What has been exported: spans one by one, metrics by name with all their points. `services`: who sent it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.services: set[str] = set()
        self._spans: queue.Queue[Span] = queue.Queue()
        self._metrics: queue.Queue[dict[str, list[HistogramDataPoint]]] = queue.Queue()

    def span(self) -> Span:
        """The next one. Raises queue.Empty where none comes in time."""
        return self._spans.get(timeout=SECONDS)

    def metrics(self) -> dict[str, list[HistogramDataPoint]]:
        """Of the next export."""
        return self._metrics.get(timeout=SECONDS)

    @property
    def spans_left(self) -> int:
        return self._spans.qsize()

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for each in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.services.add(attributes(each.resource.attributes)["service.name"])
                for scope in each.scope_spans:
                    for span in scope.spans:
                        self._spans.put(span)
        elif path == "/v1/metrics":
            for sent in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                metrics = [metric for scope in sent.scope_metrics for metric in scope.metrics]
                self._metrics.put({metric.name: list(metric.histogram.data_points) for metric in metrics})


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(self.path, gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        try:
            yield collector
        finally:
            server.shutdown()
            serving.join()


def attributes(told: Iterator[KeyValue] | Any) -> dict[str, Any]:
    """As plain values."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in told}
