"""HTTP/1.1 as clients of all kinds speak it, well and badly: the protocol under the door."""

from __future__ import annotations

import asyncio
import json

import pytest
from door import MESSAGES, Door, chat_bytes

from argosy.wire.server import LONGEST_HEAD_BYTES
from engines import FakeEngine

BODY = json.dumps({"model": "m", "messages": MESSAGES}).encode()


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of an answer that tells its length."""
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return head, await reader.readexactly(int(length.partition(b":")[2]))


def post(*headers: str, version: str = "1.1", body: bytes = BODY) -> bytes:
    lines = [f"POST /v1/chat/completions HTTP/{version}", "host: localhost", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


async def test_a_client_that_would_rather_speak_http_2_is_answered_in_http_1(door: Door, engine: FakeEngine) -> None:
    reader, writer = await door.say(post("connection: Upgrade, HTTP2-Settings", "upgrade: h2c"))
    assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200 ")
    assert engine.asked[-1].body == BODY
    writer.write(post())
    assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200 "), "the connection goes on"


async def test_its_body_may_come_later_and_in_chunks(door: Door, engine: FakeEngine) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: h2c\r\n"
    reader, writer = await door.say(head + b"transfer-encoding: chunked\r\n\r\n")
    writer.write(b"%x\r\n%b\r\n" % (len(BODY[:10]), BODY[:10]))
    await writer.drain()
    writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY[10:]), BODY[10:]))
    assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200 ")
    assert engine.asked[-1].body == BODY


async def test_who_expects_100_continue_is_told_to(door: Door) -> None:
    head, _, body = post("expect: 100-continue").partition(b"\r\n\r\n")
    reader, writer = await door.say(head + b"\r\n\r\n")
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200 ")


async def test_http_1_0_is_answered_and_its_connection_closed(door: Door) -> None:
    reader, _ = await door.say(post(version="1.0"))
    head, _ = await read_answer(reader)
    assert b"connection: close" in head
    assert await reader.read() == b""


async def test_pipelined_requests_are_answered_in_their_order(door: Door) -> None:
    reader, _ = await door.say(post("x-request-id: one") + post("x-request-id: two") + post("x-request-id: three"))
    for name in (b"one", b"two", b"three"):
        assert b"x-request-id: " + name in (await read_answer(reader))[0]


async def test_a_request_in_pieces_of_one_byte_is_one_request(door: Door, engine: FakeEngine) -> None:
    request = chat_bytes({"model": "m", "messages": MESSAGES})
    reader, writer = await door.say(request[:1])
    for byte in request[1:]:
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200 ")
    assert len(engine.asked) == 1


@pytest.mark.parametrize(
    "junk",
    [
        b"hello\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_request_gets_400_in_the_envelope_and_a_closed_connection(door: Door, junk: bytes) -> None:
    reader, _ = await door.say(junk)
    head, body = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
    assert await reader.read() == b""


async def test_a_head_without_end_is_cut_off(door: Door) -> None:
    reader, _ = await door.say(b"GET / HTTP/1.1\r\nx-a: " + b"a" * LONGEST_HEAD_BYTES)
    head, _ = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 431 ")
