from __future__ import annotations

import pytest

from argosy.gateway.call import Call
from argosy.gateway.throughput import Throughput
from argosy.protocol.openai import Usage
from fakes import FakeClock


def call(tokens: int, begin: float, end: float, replica: str = "m.0") -> Call:
    return Call(b"r", "/v1", begin, replica=replica, leased_at=begin, ended_at=end, usage=Usage(7, tokens))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def throughput(clock: FakeClock) -> Throughput:
    return Throughput(clock)


def test_tokens_of_the_last_ten_seconds_are_told_by_replica(throughput: Throughput, clock: FakeClock) -> None:
    throughput.ended([call(30, 1000.1, 1000.4)])
    throughput.ended([call(20, 1000.5, 1000.9)])
    throughput.ended([call(8, 1000.1, 1000.2, "m.1")])
    clock.now = 1001.0
    assert throughput.rates() == {"m.0": 5.0, "m.1": 0.8}
    clock.now = 1010.9
    assert throughput.rates() == {"m.0": 5.0, "m.1": 0.8}
    clock.now = 1011.0
    assert throughput.rates() == {}


def test_a_steady_stream_of_tokens_has_its_rate(throughput: Throughput, clock: FakeClock) -> None:
    for tenth in range(200):  # 4 tokens in each tenth of a second
        throughput.ended([call(4, 1000 + tenth / 10, 1000.1 + tenth / 10)])
    clock.now = 1020.0
    assert throughput.rates()["m.0"] == pytest.approx(40)


def test_a_long_request_counts_with_the_part_that_lies_in_the_window(throughput: Throughput, clock: FakeClock) -> None:
    throughput.ended([call(6000, 940.0, 1000.0)])  # 100 a second for a minute
    clock.now = 1000.5
    assert throughput.rates()["m.0"] == pytest.approx(100)
    clock.now = 1004.5
    assert throughput.rates()["m.0"] == pytest.approx(60)


def test_what_generated_nothing_or_was_never_leased_is_not_counted(throughput: Throughput, clock: FakeClock) -> None:
    throughput.ended([call(0, 1000.0, 1000.5)])
    throughput.ended([Call(b"r", "/v1", 1000.0, ended_at=1000.1)])
    clock.now = 1001.0
    assert throughput.rates() == {}


def test_a_streams_events_count_as_they_come_and_are_set_right_at_its_end(
    throughput: Throughput, clock: FakeClock
) -> None:
    clock.now = 1000.5
    throughput.streamed("m.0", 40)
    clock.now = 1001.5
    assert throughput.rates() == {"m.0": 4.0}
    told = call(100, 999.0, 1001.5)  # more than a token an event
    told.events = 40
    throughput.ended([told])
    clock.now = 1002.0
    assert throughput.rates() == {"m.0": 10.0}


def test_what_an_end_sets_right_never_makes_a_rate_below_nothing(throughput: Throughput, clock: FakeClock) -> None:
    throughput.streamed("m.0", 40)
    told = call(5, 1000.0, 1011.0)
    told.events = 40
    throughput.ended([told])
    clock.now = 1012.0
    assert throughput.rates() == {}
