from __future__ import annotations

import pytest

from argosy.gateway.held_back import without_progress, without_usage

SAID = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
QUOTED = b'data: {"choices":[{"index":0,"delta":{"content":"\\"choices\\":[] \\"usage\\":{"}}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n'
SPACED = b'data: {"usage": {"prompt_tokens": 7, "completion_tokens": 2}, "choices": []}\r\n\r\n'
FILTERS = b'data: {"choices":[],"prompt_filter_results":[]}\n\n'
NULL = b'data: {"choices":[],"usage":null}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        (SAID + USAGE + DONE, SAID + DONE),
        (SPACED + DONE, DONE),
        (USAGE, b""),
        (SAID + QUOTED, SAID + QUOTED),
        (FILTERS + SAID + NULL, FILTERS + SAID + NULL),
        (QUOTED + FILTERS + USAGE, QUOTED + FILTERS),
    ],
)
def test_only_events_that_tell_nothing_but_usage_are_left_out(events: bytes, shown: bytes) -> None:
    assert without_usage(events) == shown


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        (b'data: {"choices":[{"delta":{"role":"assistant"}}],"prompt_progress":{"total":9}}\n\n' + SAID, SAID),
        (b'data: {"choices":[],"prompt_progress":{"total":9}}\n\n', b""),
        (b'data: {"choices":[{"delta":{"content":"\\"prompt_progress\\":"}}]}\n\n', None),
    ],
)
def test_progress_is_left_out(events: bytes, shown: bytes | None) -> None:
    assert without_progress(events) == (events if shown is None else shown)
