"""What a fleet's gateway tells of itself, as a real process: its metrics, and its log as JSON."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import replace

from collector import attributes, collecting
from prometheus_client.parser import text_string_to_metric_families

from command import Argosy
from waiting import until

FLEET = "gateway: {port: 0, log_format: %s}\ngrace: 2\ndeployments: {hello: {engine: echo}}\n"


def lines(argosy: Argosy) -> list[str]:
    return argosy.run("logs", "gateway", "-n", "1000").stdout.splitlines()


def test_a_gateway_logs_as_json_and_in_text_again_when_the_file_says_so(argosy: Argosy) -> None:
    argosy.file(FLEET % "json")
    argosy.run("up", "-d")
    argosy.run("chat", "hello", "a secret word")
    told = until(lambda: [each for each in map(json.loads, lines(argosy)) if each.get("model") == "hello"])
    assert told[0]["event"] == "request"
    assert told[0]["status"] == 200
    assert "secret" not in "\n".join(lines(argosy))
    argosy.file(FLEET % "text")
    assert "gateway: changed, no engine restarts (log_format)" in argosy.run("up", "-d").stdout
    argosy.run("chat", "hello", "a word")
    until(lambda: any(" INFO request id=" in line and " model=hello " in line for line in lines(argosy)))


def test_the_metrics_of_a_running_fleet_count_its_requests_and_its_own_process(argosy: Argosy) -> None:
    argosy.file(FLEET % "text")
    argosy.run("up", "-d")
    argosy.run("chat", "hello", "one two three")
    address = argosy.ps()["gateways"][0]["address"]
    with urllib.request.urlopen(f"{address}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = {
        (sample.name, sample.labels.get("model_name")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["argosy_requests_total", "hello"] == 1
    assert found["argosy_time_to_first_token_seconds_count", "hello"] == 1
    assert 0 < found["argosy_request_gateway_time_seconds_sum", "hello"] < 1
    assert found["process_resident_memory_bytes", None] > 1_000_000


def test_a_fleets_gateway_sends_its_traces_to_where_the_environment_says(argosy: Argosy) -> None:
    with collecting() as collector:
        argosy = replace(
            argosy, variables={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address, "OTEL_SERVICE_NAME": "ours"}
        )
        argosy.file(FLEET % "text, telemetry: otlp")
        argosy.run("up", "-d")
        argosy.run("chat", "hello", "a secret word")
        argosy.run("down")  # what was not sent yet goes now
        span, durations = collector.span(), collector.metrics()["gen_ai.server.request.duration"]
    assert span.name == "chat hello"
    assert attributes(span.attributes)["gen_ai.usage.output_tokens"] == 3
    assert b"secret" not in span.SerializeToString()
    assert [point.count for point in durations] == [1]
    assert collector.services == {"ours"}
