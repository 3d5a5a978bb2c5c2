from __future__ import annotations

import time

import pytest

from argosy.errors import BrokenAnswerError
from argosy.wire.sse import LONG_TAIL_BYTES, LONGEST_EVENT_BYTES, EventFramer, SseDecoder, SseEvent

LF = b'data: {"a": 1}\n\n: a comment\n\nevent: end\ndata: two\ndata: lines\n\ndata: [DONE]\n\n'
CRLF = LF.replace(b"\n", b"\r\n")
EVENTS = [SseEvent("message", '{"a": 1}'), SseEvent("end", "two\nlines"), SseEvent("message", "[DONE]")]


def ends_of_events(stream: bytes) -> set[int]:
    blank = b"\r\n\r\n" if b"\r" in stream else b"\n\n"
    return {end for end in range(1, len(stream) + 1) if stream[:end].endswith(blank)}


@pytest.mark.parametrize("stream", [LF, CRLF], ids=["LF", "CRLF"])
def test_a_stream_cut_in_two_anywhere_is_passed_on_in_whole_events(stream: bytes) -> None:
    whole = ends_of_events(stream)
    for cut in range(1, len(stream)):
        framer = EventFramer()
        first = framer.feed(stream[:cut])
        second = framer.feed(stream[cut:])
        assert first + second == stream
        assert len(first) == max((end for end in whole if end <= cut), default=0), f"cut at byte {cut}"
        assert framer.tail == b""


@pytest.mark.parametrize("stream", [LF, CRLF], ids=["LF", "CRLF"])
def test_a_stream_that_comes_byte_by_byte_is_passed_on_in_whole_events(stream: bytes) -> None:
    framer, passed = EventFramer(), b""
    for end in range(1, len(stream) + 1):
        passed += framer.feed(stream[end - 1 : end])
        assert len(passed) == max((at for at in ends_of_events(stream) if at <= end), default=0)
    assert passed == stream


def test_the_tail_waits_for_its_end() -> None:
    framer = EventFramer()
    assert framer.feed(b"data: 1\n\ndata: 2\n") == b"data: 1\n\n"
    assert framer.tail == b"data: 2\n"
    assert framer.feed(b"\ndata: 3") == b"data: 2\n\n"
    assert framer.tail == b"data: 3"


def test_an_event_without_end_is_refused_before_it_fills_the_memory() -> None:
    framer = EventFramer()
    piece = b"x" * (LONGEST_EVENT_BYTES // 4)
    for _ in range(4):
        assert framer.feed(piece) == b""
    with pytest.raises(BrokenAnswerError, match="without the end of an event"):
        framer.feed(b"x")


@pytest.mark.parametrize("stream", [LF, CRLF], ids=["LF", "CRLF"])
@pytest.mark.parametrize("piece", [1, 3, 1000, 5000])
def test_long_events_in_small_pieces_are_passed_on_whole(stream: bytes, piece: int) -> None:
    events = stream.replace(b"two", b"two" * LONG_TAIL_BYTES)
    framer, passed = EventFramer(), b""
    for at in range(0, len(events), piece):
        part = framer.feed(events[at : at + piece])
        assert not part or part.endswith((b"\n\n", b"\n\r\n"))
        passed += part
        assert passed + framer.tail == events[: at + piece]
    assert passed == events


def test_a_long_event_costs_no_more_for_coming_in_many_pieces() -> None:
    framer, began = EventFramer(), time.process_time()
    for _ in range(16 * 1024):
        framer.feed(b"x" * 1024)
    assert len(framer.tail) == 16 * 1024 * 1024
    assert time.process_time() - began < 5, "it took minutes when every piece was searched for from the beginning"


@pytest.mark.parametrize("stream", [LF, CRLF], ids=["LF", "CRLF"])
def test_events_are_read_whatever_way_their_bytes_are_cut(stream: bytes) -> None:
    for cut in range(len(stream) + 1):
        decoder = SseDecoder()
        assert decoder.feed(stream[:cut]) + decoder.feed(stream[cut:]) == EVENTS, f"cut at byte {cut}"


def test_a_character_cut_in_two_is_read_whole() -> None:
    stream = "data: 秋\n\n".encode()
    for cut in range(len(stream)):
        decoder = SseDecoder()
        assert decoder.feed(stream[:cut]) + decoder.feed(stream[cut:]) == [SseEvent("message", "秋")]


def test_only_one_space_after_the_colon_is_taken_away() -> None:
    assert SseDecoder().feed(b"data:  x\n\ndata:y\n\n") == [SseEvent("message", " x"), SseEvent("message", "y")]


def test_comments_and_events_without_data_are_left_out() -> None:
    assert SseDecoder().feed(b": ping\n\nevent: nothing\n\nid: 7\nretry: 10\n\n") == []
