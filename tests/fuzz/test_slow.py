"""Clients that take their time: each state of a connection ends within its limit, and others are served meanwhile.

The limits are those of wire/server.py; all kinds wait at once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

import pytest
from case import Case, Ending, text
from drawing import flood
from fuzzing import LONG
from live import ANSWER_SECONDS, LIMITS, LiveDoor

from argosy.protocol.endpoints import CHAT
from argosy.wire.patience import BODY_SECONDS, DRAIN_SECONDS, HEAD_SECONDS, IDLE_SECONDS, LOOK_SECONDS
from engines import STREAM_HEAD, chunk, delta, event
from waiting import until

_CHAT = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n"
LATE_SECONDS = LOOK_SECONDS + 3  # to be noticed, on a busy machine
# What is sent at first, what drips after it each second, and the limit.
KINDS: Sequence[tuple[bytes, bytes, float]] = [
    (b"G", b"", HEAD_SECONDS),
    (b"GET /health HTTP/1.1\r\nx: ", b"y", HEAD_SECONDS),
    (b"GET /health HTTP/1.1\r\n", b"x: y\r\n", HEAD_SECONDS),
    (b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\nGET /h", b"", IDLE_SECONDS),
    (_CHAT.encode() + b"content-length: 50\r\n\r\n{", b"", BODY_SECONDS),
    (_CHAT.encode() + b"transfer-encoding: chunked\r\n\r\n", b"", BODY_SECONDS),
    (_CHAT.encode() + b"transfer-encoding: chunked\r\n\r\nff\r\n{", b"", BODY_SECONDS),
    (_CHAT.encode() + b"expect: 100-continue\r\ncontent-length: 50\r\n\r\n", b"", BODY_SECONDS),
    (b"GET /nowhere HTTP/1.1\r\ncontent-length: 50\r\n\r\n", b"", DRAIN_SECONDS),
    (b"", b"", IDLE_SECONDS),
    (b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", b"", IDLE_SECONDS),
]


def test_a_slow_client_is_left_when_its_limit_runs_out(door: LiveDoor) -> None:
    clients = door.open_clients()
    kinds = [kind for kind in KINDS if LONG or kind[2] < IDLE_SECONDS]
    ended = asyncio.run_coroutine_threadsafe(_all(door.port, kinds), door.loop)
    while not ended.done():
        door.still_serves()
        time.sleep(0.25)
    for (sent, _, limit), took in zip(kinds, ended.result(), strict=True):
        assert took < limit + LATE_SECONDS, f"{sent!r}: left after {took:.1f} s, its limit is {limit:g} s"
        assert took > limit - 1, f"{sent!r}: left after {took:.1f} s already"
    assert door.open_clients() <= clients


async def _all(port: int, kinds: Sequence[tuple[bytes, bytes, float]]) -> list[float]:
    return await asyncio.gather(*(_until_left(port, sent, drip, limit) for sent, drip, limit in kinds))


async def _until_left(port: int, sent: bytes, drip: bytes, limit: float) -> float:
    """Seconds until the gateway closed the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(sent)
    reading = asyncio.create_task(reader.read())
    try:
        async with asyncio.timeout(limit + 2 * LATE_SECONDS):
            while not reading.done():
                await asyncio.wait([reading], timeout=1)
                if drip and not reading.done():
                    writer.write(drip)
    except TimeoutError:
        reading.cancel()
    finally:
        writer.transport.abort()
    return time.monotonic() - began


def test_a_client_that_does_not_read_is_left_when_its_time_is_over(door: LiveDoor) -> None:
    """Its lease ends with timeouts.total; what it has not taken is thrown away a little later, and so is its socket."""
    clients = door.open_clients()
    body = json.dumps({"model": "plain", "messages": [{"role": "user", "content": "x"}], "stream": True})
    asked = f"{_CHAT}content-length: {len(body)}\r\n\r\n{body}"
    first, events = STREAM_HEAD + chunk(event(delta("x"))), flood(chunk(event(delta("x" * 60_000))), 200)
    case = Case(client=[asked], engine=[text(first), events], engine_ending="silent")
    began = time.monotonic()
    with door.unread(case):
        door.settle()
        assert time.monotonic() - began < LIMITS.total + ANSWER_SECONDS
        until(lambda: door.open_clients() <= clients, seconds=DRAIN_SECONDS + LATE_SECONDS, what="its socket is closed")


@pytest.mark.parametrize("ending", ["wait", "close", "reset", "half"])
def test_who_waits_in_line_is_answered_in_time_or_may_leave(door: LiveDoor, ending: Ending) -> None:
    """Of `single`, whose one slot is taken: by timeouts.queue it is a 503, and nobody stays in line."""
    body = json.dumps({"model": "single", "messages": [{"role": "user", "content": "x"}], "stream": True})
    asked = f"{_CHAT}content-length: {len(body)}\r\n\r\n{body}"
    with door.unread(Case(client=[asked], engine=[text(STREAM_HEAD)], engine_ending="silent")):
        answers = door.play(Case(client=[asked], ending=ending, answers=1, engine=[]))
    if ending == "wait":
        assert [(answer.status, answer.json["error"]["code"]) for answer in answers] in (
            [(503, "queue_timeout")],
            [(504, "first_token_timeout")],  # the slot became free in time, and its engine says nothing
            [(502, "engine_died")],
        )
    assert door.waiting() == 0
