"""An engine that answers at once and costs little: what is left to measure is the gateway in front of it.

One process listens on several ports of its own choice, one for each engine that it plays, and prints them. A plain
request gets a whole answer, a stream 64 events in a single write; if the prompt says PACED they come one by one, to all
streams in the same step, as an engine with continuous batching sends them; if it says HELD, nothing comes after the
first one. Any GET gets one document in which health checks and routers find what they look for.
"""

from __future__ import annotations

import argparse
import asyncio
import json

import httptools
import uvloop

MODEL = "mock"
EVENTS = 64
STEP_SECONDS = 0.005
PACED = "[one event every 5 ms]"  # in the prompt: some routers drop fields that they do not know
HELD = "[one event, and no more]"

_ID = "chatcmpl-0123456789abcdef0123456789abcdef"
_TEXT = "Tea was drunk in China long before it was written about. " * 5


def _sized(document: object) -> bytes:
    body = json.dumps(document).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _event(number: int) -> bytes:
    """One server-sent event in its own HTTP chunk; the last one brings the end of the stream with it."""
    last = number == EVENTS - 1
    delta = {"content": " token"} if number else {"role": "assistant", "content": ""}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": "stop" if last else None}
    chunk = {"id": _ID, "object": "chat.completion.chunk", "created": 1700000000, "model": MODEL, "choices": [choice]}
    text = f"data: {json.dumps(chunk)}\n\n" + ("data: [DONE]\n\n" if last else "")
    return b"%x\r\n%b\r\n%b" % (len(text), text.encode(), b"0\r\n\r\n" if last else b"")


_PLAIN = _sized(
    {
        "id": _ID,
        "object": "chat.completion",
        "created": 1700000000,
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 64, "total_tokens": 73},
    }
)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_STREAM = [_event(number) for number in range(EVENTS)]
_BURST = _STREAM_HEAD + b"".join(_STREAM)
_ABOUT = _sized(
    {
        "status": "ok",
        "object": "list",
        "data": [{"id": MODEL, "object": "model", "created": 1700000000, "owned_by": "mock", "max_model_len": 8192}],
        "model_path": MODEL,
        "model_id": MODEL,
        "served_model_name": MODEL,
        "is_generation": True,
        "tp_size": 1,
        "dp_size": 1,
        "max_running_requests": 256,
        "version": "0",
    }
)


class Pacer:
    """Streams under way; at each step every one of them gets its next event. Sleeps while there is none."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._streams: dict[asyncio.Transport, int] = {}

    def add(self, transport: asyncio.Transport) -> None:
        transport.write(_STREAM_HEAD)
        if not self._streams:
            self._loop.call_later(STEP_SECONDS, self._step)
        self._streams[transport] = 0

    def drop(self, transport: asyncio.Transport) -> None:
        self._streams.pop(transport, None)

    def _step(self) -> None:
        for transport, number in list(self._streams.items()):
            transport.write(_STREAM[number])
            if number + 1 == EVENTS:
                del self._streams[transport]
            else:
                self._streams[transport] = number + 1
        if self._streams:
            self._loop.call_later(STEP_SECONDS, self._step)


class EngineProtocol(asyncio.Protocol):
    """One connection. Answers when a request is complete; headers are not even looked at."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's are no asyncio.Transport by type

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._pacer.drop(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:  # some routers try HTTP/2 first
            assert self._transport is not None
            self._transport.close()

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        assert self._transport is not None
        body, self._body = b"".join(self._body), []
        if self._parser.get_method() == b"GET":
            self._transport.write(_ABOUT)
        elif b'"stream":true' not in body and b'"stream": true' not in body:
            self._transport.write(_PLAIN)
        elif PACED.encode() in body:
            self._pacer.add(self._transport)
        elif HELD.encode() in body:
            self._transport.write(_STREAM_HEAD + _STREAM[0])
        else:
            self._transport.write(_BURST)


async def serve(engines: int) -> None:
    loop = asyncio.get_running_loop()
    pacer = Pacer(loop)
    servers = [
        await loop.create_server(lambda: EngineProtocol(pacer), "127.0.0.1", 0, backlog=4096) for _ in range(engines)
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--engines", type=int, default=2)
    uvloop.run(serve(arguments.parse_args().engines))
