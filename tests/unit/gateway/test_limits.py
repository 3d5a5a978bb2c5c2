from __future__ import annotations

import pytest

from argosy.gateway.limits import Bucket, Meter, about_tokens
from argosy.gateway.turn import duration


def meter(*, requests: int | None = None, tokens: int | None = None, at_once: int | None = None) -> Meter:
    made = Meter()
    made.limit(requests, tokens, at_once, 0.0)
    return made


def test_a_bucket_fills_in_a_minute_and_no_further() -> None:
    bucket = Bucket(60, 0.0)
    bucket.take(60, 0.0)
    assert bucket.level(0.0) == 0
    assert bucket.seconds_until(1, 0.0) == 1
    assert bucket.level(30.0) == 30
    assert bucket.level(1000.0) == 60


def test_a_clock_that_stands_still_or_goes_back_fills_nothing() -> None:
    bucket = Bucket(60, 10.0)
    bucket.take(30, 10.0)
    assert bucket.level(5.0) == bucket.level(5.0) == 30


def test_a_minutes_requests_may_come_at_once_and_the_next_waits() -> None:
    limited = meter(requests=3)
    for _ in range(3):
        assert limited.enter(0.0) is None
    refusal = limited.enter(0.0)
    assert refusal is not None
    assert (refusal.kind, refusal.limit, refusal.seconds) == ("requests", 3, 20.0)
    assert limited.enter(19.9) is not None
    assert limited.enter(20.1) is None


def test_a_refused_request_takes_nothing() -> None:
    limited = meter(requests=1, at_once=5)
    assert limited.enter(0.0) is None
    for _ in range(10):
        assert limited.enter(1.0) is not None
    assert limited.in_flight == 1
    assert limited.enter(60.0) is None


def test_tokens_are_taken_at_the_end_and_may_fall_below_zero() -> None:
    limited = meter(tokens=60)
    assert limited.enter(0.0) is None
    assert limited.enter(0.0) is None, "nothing is used yet"
    limited.leave(180, 0.0)
    refusal = limited.enter(0.0)
    assert refusal is not None
    assert (refusal.kind, refusal.seconds) == ("tokens", 121.0)
    assert limited.enter(119.0) is not None
    assert limited.enter(121.0) is None


def test_what_runs_at_once_is_bounded_until_it_ends() -> None:
    limited = meter(at_once=2)
    assert limited.enter(0.0) is limited.enter(0.0) is None
    refusal = limited.enter(0.0)
    assert refusal is not None and refusal.what == "concurrent requests"
    limited.leave(0, 0.0)
    assert limited.enter(0.0) is None


def test_new_limits_keep_what_was_used() -> None:
    limited = meter(requests=10, at_once=1)
    for _ in range(8):
        assert limited.enter(0.0) is None
        limited.leave(0, 0.0)
    limited.limit(20, None, 1, 0.0)
    assert limited.requests is not None and limited.requests.level(0.0) == 12
    limited.limit(5, 100, 1, 0.0)
    assert limited.enter(0.0) is not None, "eight are more than five"
    limited.limit(None, None, None, 0.0)
    assert limited.enter(0.0) is None


def test_a_body_is_about_a_token_for_four_bytes_but_pictures_are_no_text() -> None:
    assert about_tokens(b"x" * 400) == 100
    assert about_tokens(b'{"url":"data:image/png;base64,' + b"x" * 400) == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0ms"), (0.12, "120ms"), (1, "1s"), (7.655, "7.66s"), (59.999, "1m0s"), (360, "6m0s")]
)
def test_a_duration_is_written_as_openai_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text
