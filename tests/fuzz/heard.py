"""Answers as a client reads them that believes nothing: each byte must be where HTTP/1.1 has it (RFC 9112).

A parser of its own, strict and slow: the product's would forgive itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9]\d\d) [\x20-\x7e]*")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\x20-\x7e\x80-\xff\t]*)")
_CHUNK = re.compile(rb"([0-9a-f]+)\r\n")


@dataclass(frozen=True)
class Heard:
    """One answer. `whole`: it has its end, and that of its body is where its head says."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) < 2, f"{name} twice: {found}"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def heard(data: bytes, *, closed: bool) -> list[Heard]:
    """All answers in what was read so far, the last one perhaps in part. `closed`: no more can come."""
    answers = []
    while data:
        answer, data = _first(data, closed=closed)
        if answer is None:
            break
        if answer.status >= 200:
            answers.append(answer)
    return answers


def _first(data: bytes, *, closed: bool) -> tuple[Heard | None, bytes]:
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        assert len(head) < 65536, f"a head without end: {head[:200]!r}"
        return None, b""
    first, *lines = head.split(b"\r\n")
    status_line = _STATUS_LINE.fullmatch(first)
    assert status_line, f"no status line: {first[:200]!r}"
    status = int(status_line[1])
    headers = []
    for line in lines:
        header = _HEADER.fullmatch(line)
        assert header, f"no header: {line[:200]!r}"
        headers.append((header[1].decode().lower(), header[2].decode("latin-1")))
    if status < 200 or status in (204, 304):
        return Heard(status, headers, b"", True), rest
    known = Heard(status, headers, b"", False)
    length, coding = known.header("content-length"), known.header("transfer-encoding")
    assert not (length and coding), "framed twice"
    if coding:
        assert coding == "chunked", coding
        body, whole, rest = _chunks(rest)
    elif length is not None:
        assert re.fullmatch(r"\d+", length), length
        body, rest = rest[: int(length)], rest[int(length) :]
        whole = len(body) == int(length)
    else:
        assert known.header("connection") == "close", "nothing says where this answer ends"
        body, whole, rest = rest, closed, b""
    return Heard(status, headers, body, whole), rest


def _chunks(data: bytes) -> tuple[bytes, bool, bytes]:
    """Body, whether its end has come, what follows."""
    body = []
    while chunk := _CHUNK.match(data):
        size = int(chunk[1], 16)
        start, end = chunk.end(), chunk.end() + size
        if len(data) < end + 2:
            body.append(data[start:end])
            return b"".join(body), False, b""
        assert data[end : end + 2] == b"\r\n", f"a chunk's end: {data[end : end + 20]!r}"
        body.append(data[start:end])
        data = data[end + 2 :]
        if not size:
            return b"".join(body), True, data
    assert len(data) < 10, f"no chunk: {data[:40]!r}"
    return b"".join(body), False, b""
