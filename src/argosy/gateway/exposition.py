"""What /metrics says: every family, its name, meaning and labels (docs/reference/metrics.md), by prometheus-client.

Names follow vLLM's (`vllm:time_to_first_token_seconds`, label `model_name`), so that what is drawn of engines can be
drawn of the door. Imported at the first scrape only: prometheus-client takes a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from argosy import __version__
from argosy.gateway.request_metrics import RequestMetrics, Timings
from argosy.protocol.replica import ReplicaState
from argosy.registry.registry import Registry
from argosy.telemetry.histogram import Histogram

MODEL = ["model_name"]
MODEL_KEY = ["model_name", "key"]
REPLICA = ["model_name", "replica"]


def exposition(collector: Collector, accept: str) -> tuple[bytes, str]:
    """The text and its content type: OpenMetrics where that is asked for, else Prometheus's own."""
    collectors = CollectorRegistry()
    collectors.register(collector)
    ProcessCollector(registry=collectors)
    encode, kind = choose_encoder(accept)
    return encode(collectors), kind


@dataclass(frozen=True, eq=False)  # registries of collectors keep them by identity
class Collector:
    """One scrape. Each table is copied in one step (`list`) before it is read: the event loop goes on changing it.

    `waiting`: requests in line, by deployment.
    """

    registry: Registry
    requests: RequestMetrics
    waiting: Mapping[str, int]

    def collect(self) -> Iterator[Metric]:
        yield from self._requests()
        yield from self._timings()
        yield from self._deployments()
        yield from self._replicas()
        build = GaugeMetricFamily("argosy_build_info", "1; the label says which version runs.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build

    def _requests(self) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "argosy_requests",
            "Requests that have ended, by the answer's status.",
            labels=[*MODEL_KEY, "status"],
        )
        prompt = CounterMetricFamily("argosy_prompt_tokens", "Tokens of prompts.", labels=MODEL_KEY)
        generated = CounterMetricFamily("argosy_generation_tokens", "Tokens of answers.", labels=MODEL_KEY)
        for (model, key), account in list(self.requests.accounts.items()):
            for status, count in list(account.by_status.items()):
                ended.add_metric([model, key, str(status)], count)
            prompt.add_metric([model, key], account.prompt_tokens)
            generated.add_metric([model, key], account.generation_tokens)
        yield from (ended, prompt, generated)

    def _timings(self) -> Iterator[Metric]:
        kinds: list[tuple[str, str, Callable[[Timings], Histogram]]] = [
            ("request_queue_time", "Waiting in line for a replica.", lambda each: each.queue),
            ("time_to_first_token", "Of streams: from the arrival to the first event.", lambda each: each.first_token),
            (
                "request_time_per_output_token",
                "Of streams: mean time between tokens.",
                lambda each: each.between_tokens,
            ),
            ("e2e_request_latency", "From the arrival to the answer's end.", lambda each: each.total),
            ("request_gateway_time", "The gateway's own share of the wait.", lambda each: each.gateway),
        ]
        timings = [(model, each) for model, each in list(self.requests.timings.items()) if model]
        for name, meaning, of in kinds:
            family = HistogramMetricFamily(f"argosy_{name}_seconds", meaning, labels=MODEL)
            for model, each in timings:
                histogram = of(each)
                family.add_metric([model], histogram.buckets(), histogram.sum)
            yield family

    def _deployments(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("argosy_num_requests_waiting", "Requests in line for a replica.", labels=MODEL)
        wanted = GaugeMetricFamily("argosy_replicas_wanted", "Replicas that the fleet asks for.", labels=MODEL)
        for name, deployment in list(self.registry.deployments.items()):
            record = deployment.record
            waiting.add_metric([name], self.waiting.get(name, 0))
            wanted.add_metric([name], 0 if record.stopped else record.replicas)
        yield from (waiting, wanted)

    def _replicas(self) -> Iterator[Metric]:
        running = GaugeMetricFamily("argosy_num_requests_running", "Requests that a replica has now.", labels=REPLICA)
        routable = GaugeMetricFamily("argosy_replica_routable", "1 while requests are sent to it.", labels=REPLICA)
        state = GaugeMetricFamily("argosy_replica_state", "1 for the state that it is in.", labels=[*REPLICA, "state"])
        errors = CounterMetricFamily(
            "argosy_replica_errors", "Requests that it failed, by the error's code.", labels=[*REPLICA, "code"]
        )
        retries = CounterMetricFamily("argosy_replica_retries", "Of these, sent on to another.", labels=REPLICA)
        ejections = CounterMetricFamily(
            "argosy_replica_ejections", "Times it was out: not reached, or failing.", labels=REPLICA
        )
        for replica in list(self.registry.replicas.values()):
            labels = [replica.deployment, replica.id]
            deployment = self.registry.deployments.get(replica.deployment)
            running.add_metric(labels, replica.in_flight)
            routable.add_metric(labels, deployment is not None and replica in deployment.routable)
            for each in ReplicaState:
                state.add_metric([*labels, each.value], replica.status.state == each)
            for code, count in list(replica.errors.items()):
                errors.add_metric([*labels, code], count)
            retries.add_metric(labels, replica.retries)
            ejections.add_metric(labels, replica.ejections)
        yield from (running, routable, state, errors, retries, ejections)
