"""OpenTelemetry's metrics of a server of models, from calls that have ended; `/metrics` has more (exposition.py).

Imported only where telemetry is on: an observation of the SDK's costs more than all of request_metrics.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.metrics import Histogram, Meter

from argosy.gateway.call import Call
from argosy.gateway.conventions import common
from argosy.gateway.request_metrics import BETWEEN_TOKENS, FIRST_TOKEN

# As the conventions want them; to the first token and between tokens ours are finer.
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)


class GenAiMetrics:
    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, description: str, bounds: tuple[float, ...]) -> Histogram:
            return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=bounds)

        self._duration = seconds("gen_ai.server.request.duration", "of the whole request", _SECONDS)
        self._first = seconds("gen_ai.server.time_to_first_token", "of a stream that was answered", FIRST_TOKEN)
        self._each = seconds("gen_ai.server.time_per_output_token", "after the first one of a stream", BETWEEN_TOKENS)
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "of a request, read and written",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )

    def ended(self, calls: Sequence[Call]) -> None:
        for call in calls:
            self._count(call)

    def _count(self, call: Call) -> None:
        told = common(call)
        self._duration.record(call.ended_at - call.arrived_at, told)
        if not call.answered_at or call.status >= 400:
            return
        tokens = call.events
        if (usage := call.usage) is not None:
            tokens = usage.completion_tokens
            for kind, count in (("input", usage.prompt_tokens), ("output", usage.completion_tokens)):
                self._tokens.record(count, {**told, "gen_ai.token.type": kind})
        if call.stream:
            self._first.record(call.answered_at - call.arrived_at, told)
            if tokens > 1:
                self._each.record((call.ended_at - call.answered_at) / (tokens - 1), told)
