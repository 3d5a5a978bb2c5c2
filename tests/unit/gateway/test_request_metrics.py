from __future__ import annotations

import pytest

from argosy.gateway.call import Call
from argosy.gateway.request_metrics import MOST_PENDING, RequestMetrics
from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.endpoints import CHAT
from argosy.protocol.openai import Usage
from argosy.registry.records import Deployment

DEPLOYMENT = Deployment(DeploymentRecord(name="m", revision=1))


@pytest.fixture
def metrics() -> RequestMetrics:
    return RequestMetrics()


def served(*, stream: bool = False, tokens: int = 5) -> Call:
    """A call that arrived at 10, was read, sent after 1 ms in line, heard at 12, answered at once, over at 14."""
    call = Call(b"r", CHAT, 10.0, principal="key-1", deployment=DEPLOYMENT, attempts=1, stream=stream, status=200)
    call.read_at, call.queued_seconds = 10.001, 0.001
    call.answer_begins(sent_at=10.0025, heard_at=12.0, now=12.0005)
    call.answered_at, call.ended_at, call.usage = 12.0005, 14.0, Usage(7, tokens)
    return call


def test_the_gateways_share_leaves_out_the_line_and_the_engine() -> None:
    assert served().gateway_seconds == pytest.approx(0.001)  # 0.5 ms to send it, 0.5 ms to pass the answer on


def test_the_header_tells_where_the_time_went() -> None:
    call = Call(b"r", CHAT, 10.0, read_at=10.001)
    assert call.answer_begins(10.0025, 12.0, 12.0005) == b"queue;dur=0, upstream;dur=1997.5, gateway;dur=2.000"
    call.queued_seconds, call.failed_seconds = 0.0005, 0.0005
    assert call.answer_begins(10.0025, 12.0, 12.0005) == b"queue;dur=0.5, upstream;dur=1998.0, gateway;dur=1.000"
    assert call.refusal_begins(10.003) == b"queue;dur=0.5, upstream;dur=0.5, gateway;dur=2.000"


def test_time_between_tokens_is_a_mean_of_those_after_the_first(metrics: RequestMetrics) -> None:
    metrics.ended([served(stream=True)])
    metrics.ended([served(stream=True, tokens=1)])  # nothing lies between
    metrics.ended([served()])  # when its tokens came, nobody knows
    metrics.settle()
    timings = metrics.timings["m"]
    assert (timings.between_tokens.counts[-1], timings.between_tokens.sum) == (1, pytest.approx(1.9995 / 4))
    assert timings.first_token.counts[-1] == 2
    assert timings.total.counts[-1] == 3


def test_the_events_of_a_stream_without_usage_count_as_its_tokens(metrics: RequestMetrics) -> None:
    cut = served(stream=True)
    cut.usage, cut.events = None, 3
    metrics.ended([cut])
    metrics.settle()
    assert (metrics.accounts["m", "key-1"].prompt_tokens, metrics.accounts["m", "key-1"].generation_tokens) == (0, 3)
    assert metrics.timings["m"].between_tokens.sum == pytest.approx(1.9995 / 2)


def test_without_a_scrape_no_more_than_a_thousand_observations_are_kept(metrics: RequestMetrics) -> None:
    for _ in range(2 * MOST_PENDING + 1):
        metrics.ended([served()])
    timings = metrics.timings["m"]
    for each in (timings.queue, timings.total, timings.gateway):
        assert each.pending <= MOST_PENDING
    metrics.settle()
    assert timings.total.counts[-1] == timings.queue.counts[-1] == 2 * MOST_PENDING + 1
    assert metrics.accounts["m", "key-1"].by_status == {200: 2 * MOST_PENDING + 1}


def test_a_client_without_a_key_is_not_counted_by_its_address(metrics: RequestMetrics) -> None:
    for address in ("10.0.0.1", "10.0.0.2"):
        call = served()
        call.principal = call.client = address
        metrics.ended([call])
    assert list(metrics.accounts) == [("m", "")]


def test_a_request_that_met_no_replica_is_counted_but_not_timed(metrics: RequestMetrics) -> None:
    metrics.ended([Call(b"r", CHAT, 10.0, principal="key-1", deployment=DEPLOYMENT, status=400, ended_at=10.1)])
    metrics.settle()
    assert metrics.accounts["m", "key-1"].by_status == {400: 1}
    assert metrics.timings["m"].queue.counts[-1] == 0
