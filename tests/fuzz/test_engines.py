"""Engines that answer with nearly the OpenAI wire, cut off anywhere, without end or never."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from case import Again, Piece, text
from drawing import body_case, chunked, engines, sized
from fuzzing import fuzz_cases
from live import LiveDoor

from argosy.protocol import endpoints
from argosy.wire.sse import LONGEST_EVENT_BYTES
from engines import DONE, STREAM_HEAD, UNSIZED_HEAD, chunk, delta, event


def test_engines(door: LiveDoor) -> None:
    fuzz_cases(door, "engines", engines(), share=0.3)


def _answers() -> Iterator[tuple[str, dict[str, Any], bytes]]:
    """Model, request, and an answer that is right, of every kind; short ones, as every byte is a case."""
    said = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}
    events, stream = [event(said), event(DONE)], {"stream": True}
    yield "plain", {}, sized(b'{"choices":[{"index":0}]}')
    yield "plain", {}, sized(b'{"error":{"message":"no","type":"t"}}', 400)
    yield "plain", stream, chunked(*events)
    yield "loose", stream, UNSIZED_HEAD + b"".join(events)
    yield "apart", {}, chunked(*events)


@pytest.mark.parametrize(
    ("model", "more", "answer"), [*_answers()], ids=["plain", "error", "chunked", "unsized", "apart"]
)
def test_an_answer_that_ends_at_any_byte_is_whole_or_a_clear_error(
    door: LiveDoor, model: str, more: dict[str, Any], answer: bytes
) -> None:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "x"}], **more}).encode()
    asked = body_case(endpoints.CHAT, body)
    for end in range(len(answer)):
        (told,) = door.play(msgspec.structs.replace(asked, engine=[text(answer[:end])], engine_ending="close"))
        streamed = (told.header("content-type") or "").startswith("text/event-stream")
        if streamed:
            assert told.status == 200 and told.whole, f"cut at byte {end}"
            assert told.body.endswith(b"\n\n"), f"cut at byte {end}: {told.body!r}"
            assert told.body.rstrip().endswith(b"data: [DONE]"), f"cut at byte {end}: {told.body!r}"
        else:
            assert told.whole and told.status in (200, 400, 502), f"cut at byte {end}"
            assert told.status != 200 or told.json["choices"], f"cut at byte {end}: half an answer for a whole one"


@pytest.mark.parametrize(
    "engine",
    [
        [text(UNSIZED_HEAD), Again("x" * 1000, 100_000)],
        [text(UNSIZED_HEAD), Again("data: x\n", 12_500_000)],
        [text(UNSIZED_HEAD + event(delta("a"))), Again("x" * 1000, 100_000)],
        ["HTTP/1.1 200 OK\r\n", Again("x: y\r\n", 16_000_000)],
        ["HTTP/1.1 200 OK\r\nx: ", Again("x" * 1000, 100_000)],
        [Again("HTTP/1.1 100 Continue\r\n\r\n", 4_000_000)],
        ["HTTP/1.1 500 No\r\ncontent-type: application/json\r\n\r\n", Again("x" * 1000, 100_000)],
        ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", Again("x" * 1000, 100_000)],
        [text(STREAM_HEAD + chunk(event(delta("a")))), "0\r\n", Again("x: y\r\n", 16_000_000)],
    ],
    ids=[
        "no event",
        "no blank line",
        "no second event",
        "headers",
        "a header",
        "1xx",
        "an error",
        "extension",
        "trailers",
    ],
)
def test_a_hundred_mebibytes_of_nothing_end_in_an_error_and_are_not_kept(door: LiveDoor, engine: list[Piece]) -> None:
    level = door.memory_mib()
    for model in ("plain", "apart") * 2:
        body = {"model": model, "messages": [{"role": "user", "content": "x"}], "stream": model == "plain"}
        case = body_case(endpoints.CHAT, json.dumps(body).encode())
        (told,) = door.play(msgspec.structs.replace(case, engine=engine, engine_ending="close"))
        assert told.status in (502, 504) or b'"error"' in told.body, told
    # The allocator keeps one event's or two for the next; four that nobody let go of would be 128 MiB.
    assert door.memory_mib() - level < 2 * LONGEST_EVENT_BYTES / (1 << 20)
