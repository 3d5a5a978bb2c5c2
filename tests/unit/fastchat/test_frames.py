"""Frames of FastChat's wire. frames.bin: the answer of a model worker of FastChat 0.2.36, as it came."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.errors import BrokenAnswerError
from argosy.fastchat.frames import Frame, FrameReader, FrameUsage
from argosy.fastchat.wording import Choice

RECORDED = Path(__file__).with_name("frames.bin").read_bytes()


def read(pieces: list[bytes]) -> list[Frame]:
    reader = FrameReader()
    frames = [frame for piece in pieces for frame in reader.feed(piece)]
    reader.end()
    return frames


def test_a_recorded_answer_is_the_same_wherever_it_is_split() -> None:
    whole = read([RECORDED])
    assert (whole[-1].finish_reason, whole[-1].usage) == ("length", FrameUsage(30, 23))
    assert read([RECORDED[at : at + 1] for at in range(len(RECORDED))]) == whole
    for cut in range(1, len(RECORDED)):
        assert read([RECORDED[:cut], RECORDED[cut:]]) == whole


def test_an_unfinished_character_is_told_when_it_is_whole() -> None:
    choice, told = Choice(0, most_tokens=24), list[str]()
    for frame in read([RECORDED]):
        told.append(choice.take(frame))
    told.append(choice.end())
    assert "".join(told) == "🌍" * 8  # the first frame has only a part of the first one
    assert "�" not in "".join(told)
    assert (choice.finish_reason, choice.prompt_tokens, choice.completion_tokens) == ("length", 30, 23)


def test_empty_frames_are_left_out() -> None:
    assert read([b'\0\0{"text": "a"}\0\0', b'{"text": "ab"}\0']) == [Frame("a"), Frame("ab")]


def test_a_worker_that_breaks_off_within_a_frame_is_told() -> None:
    reader = FrameReader()
    reader.feed(b'{"text": "a"}\0{"text": "ab')
    with pytest.raises(BrokenAnswerError, match="within a frame"):
        reader.end()


def test_what_is_no_frame_is_told() -> None:
    with pytest.raises(BrokenAnswerError, match="no frame"):
        FrameReader().feed(b"<html>\0")


def test_vllm_tells_a_list_of_reasons() -> None:
    assert Frame(finish_reason=["stop"]).ended_by == "stop"
    assert Frame(finish_reason=[None]).ended_by is None
