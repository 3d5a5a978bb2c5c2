from __future__ import annotations

import pytest

from argosy.wire.known_head import KnownHead

HEAD = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\naccept: */*\r\n\r\n"


def of(data: bytes) -> KnownHead[str] | None:
    return KnownHead.of(data, "known")


def test_the_same_head_with_another_length_is_known() -> None:
    known = of(HEAD % b"2" + b"{}")
    assert known is not None
    assert known.meaning == "known"
    for length in (b"0", b"7", b"1234567890"):
        data = HEAD % length + b"{"
        assert known.body_of(data) == (len(data) - 1, int(length))


def test_a_length_at_the_end_of_the_head_is_found_too() -> None:
    data = b"POST /a HTTP/1.1\r\ncontent-length:2\r\n\r\n{}"
    known = of(data)
    assert known is not None
    assert known.body_of(data) == (len(data) - 2, 2)


@pytest.mark.parametrize(
    "other",
    [
        HEAD.replace(b"/a", b"/b") % b"2",
        HEAD.replace(b"*/*", b"*/x") % b"2",
        HEAD.replace(b"\r\n\r\n", b"\r\nx: y\r\n\r\n") % b"2",
        HEAD % b"",
        HEAD % b"-2",
        HEAD % b"+2",
        HEAD % b"2 ",
        HEAD % b"0x2",
        HEAD % b"12345678901",
        HEAD % b"2, 3",
        HEAD % "²".encode(),
        (HEAD % b"2")[:-2],
        (HEAD % b"2")[:40],
        b"",
    ],
)
def test_any_other_byte_goes_to_the_parser(other: bytes) -> None:
    known = of(HEAD % b"2")
    assert known is not None
    assert known.body_of(other) is None


@pytest.mark.parametrize(
    "head",
    [
        b"POST /a HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST /a HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}",
        b"POST /a HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
        b"POST /a HTTP/1.1\r\ncontent-length: 2\r\nhost: a\r\n",
        b"POST /a HTTP/1.1\r\nhost: a\r\n\r\ncontent-length: 2\r\n\r\n",
    ],
)
def test_what_has_no_single_length_in_its_head_is_not_learnt(head: bytes) -> None:
    assert of(head) is None
