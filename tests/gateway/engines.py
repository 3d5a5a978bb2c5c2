"""A server that plays what a test has scripted, byte by byte, and remembers what it was asked.

A play is what happens after a request has come whole: `async def play(stage)`. Plays wait in a line, one for each
request; when the line is empty the engine answers a short chat.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from argosy.protocol.endpoints import EMBEDDINGS

CHAT = {
    "id": "chat-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}
DONE = "[DONE]"


@dataclass(frozen=True)
class Asked:
    """A request as it came. `connection` counts the engine's connections from 1."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Stage:
    """One request and the connection that it came by."""

    asked: Asked
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    keep: bool = True  # the connection, for another request
    _eof: asyncio.Task[None] | None = field(default=None, repr=False)

    async def send(self, data: bytes) -> None:
        """Returns once the bytes have left, or the other side takes no more."""
        self.writer.write(data)
        await self.writer.drain()

    async def left(self) -> None:
        """Until the gateway has closed the connection."""
        while await self.reader.read(65536):
            pass
        self.keep = False

    def reset(self) -> None:
        """Breaks the connection off: what is on its way is lost, the other side sees a reset."""
        self.keep = False
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Play = Callable[[Stage], Awaitable[None]]


class FakeEngine:
    """`async with FakeEngine() as engine`. `asked`: all requests so far; `connections`: how many were opened.

    `otherwise`: what it does once its plays are over; a chat's answer, where nothing is said."""

    def __init__(
        self, *plays: Play, name: str = "engine", tls: ssl.SSLContext | None = None, otherwise: Play | None = None
    ) -> None:
        self.name = name
        self.plays = deque(plays)
        self._otherwise = otherwise or answer()
        self.asked: list[Asked] = []
        self.connections = 0
        self.open = 0
        self._tls = tls
        self._news = asyncio.Condition()
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._port = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.die()

    @property
    def address(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def bodies(self) -> list[Any]:
        return [each.json for each in self.asked]

    async def start(self) -> None:
        """Listens; at its second start where it did before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._tls)
        self._port = self._server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """As by SIGKILL: nobody listens, all connections are broken off."""
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        """Until what this engine sees makes the condition true: requests, connections."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(condition)

    async def until_asked(self, count: int = 1) -> None:
        await self.until(lambda: len(self.asked) >= count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self._writers.add(writer)
        self.connections += 1
        self.open += 1
        number = self.connections
        await self._tell()
        try:
            while (asked := await _request(reader, number)) is not None:
                self.asked.append(asked)
                play = self.plays.popleft() if self.plays else self._otherwise
                await self._tell()
                stage = Stage(asked, reader, writer)
                await play(stage)
                if not stage.keep:
                    return
        except (ConnectionError, asyncio.CancelledError):
            pass  # the gateway has left, or the test is over
        finally:
            writer.close()
            self._writers.discard(writer)
            self._serving.discard(task)
            self.open -= 1
            await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


async def _request(reader: asyncio.StreamReader, connection: int) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, target, headers, body, connection)


# plays


def head(status: int = 200, **headers: str) -> bytes:
    """`content_type="text/plain"` becomes content-type: text/plain."""
    lines = [f"HTTP/1.1 {status} So", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(body: Any = CHAT, status: int = 200, *, content_type: str = "application/json", **headers: str) -> Play:
    """A plain answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def play(stage: Stage) -> None:
        await stage.send(head(status, content_type=content_type, content_length=str(len(data)), **headers) + data)

    return play


async def vectors_or_chat(stage: Stage) -> None:
    """A vector for each input where some are asked for, else a chat's answer."""
    if stage.asked.target != EMBEDDINGS:
        await answer()(stage)
        return
    asked = stage.asked.json
    inputs = asked["input"] if isinstance(asked["input"], list) and not isinstance(asked["input"][0], int) else [""]
    vector = "AAAAAA==" if asked.get("encoding_format") == "base64" else [0.0]
    told = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(inputs))]
    usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
    await answer({"object": "list", "model": asked["model"], "data": told, "usage": usage})(stage)


def event(data: Any) -> bytes:
    return b"data: " + (data if isinstance(data, str) else json.dumps(data)).encode() + b"\n\n"


def delta(text: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "chat-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
        **more,
    }


STREAM_HEAD = head(content_type="text/event-stream", transfer_encoding="chunked")
UNSIZED_HEAD = head(content_type="text/event-stream", connection="close")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def stream(*events: Any, cut: int | None = None) -> Play:
    """A stream of these events, as given; `cut`: in pieces of so many bytes, each on its way before the next."""
    whole = b"".join(map(event, events))
    parts = (
        [event(each) for each in events] if cut is None else [whole[at : at + cut] for at in range(0, len(whole), cut)]
    )

    async def play(stage: Stage) -> None:
        await stage.send(STREAM_HEAD)
        for part in parts:
            await stage.send(chunk(part))
            await asyncio.sleep(0)  # whoever reads on this loop reads this part now
        await stage.send(LAST_CHUNK)

    return play


def chat_stream(*texts: str) -> Play:
    return stream(*map(delta, texts), DONE)


def raw(*parts: bytes, close: bool = False) -> Play:
    """These bytes; `close`: then the end of the connection."""

    async def play(stage: Stage) -> None:
        for part in parts:
            await stage.send(part)
            await asyncio.sleep(0)
        stage.keep = not close

    return play


def reset_after(*parts: bytes, when: asyncio.Event | None = None) -> Play:
    """These bytes, then (once `when` is set) the connection breaks off as that of a killed process."""

    async def play(stage: Stage) -> None:
        for part in parts:
            await stage.send(part)
        if when is not None:
            await when.wait()
        stage.reset()

    return play


def silent_after(*parts: bytes) -> Play:
    """These bytes, then nothing until the gateway leaves."""

    async def play(stage: Stage) -> None:
        for part in parts:
            await stage.send(part)
        await stage.left()

    return play


class Flood:
    """A play: events without end, as fast as they are taken."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, stage: Stage) -> None:
        piece = chunk(event(delta("x" * 60_000)))
        await stage.send(STREAM_HEAD)
        while True:
            await stage.send(piece)
            self.sent += len(piece)

    async def held_back(self, turn: Callable[[], Awaitable[object]]) -> None:
        """Until it gets rid of no more in ten turns of something else that takes the same loop its while."""
        before = -1
        while before != self.sent or not self.sent:
            before = self.sent
            for _ in range(10):
                await turn()


def held(gate: asyncio.Event, play: Play | None = None) -> Play:
    """Waits for the gate before it plays."""
    following = play or answer()

    async def held_play(stage: Stage) -> None:
        await gate.wait()
        await following(stage)

    return held_play


def events_of(body: bytes) -> Sequence[Any]:
    """What the events of a stream hold: JSON where it is some, else text."""
    found = []
    assert body.endswith(b"\n\n"), f"not whole: {body[-100:]!r}"
    for part in body.split(b"\n\n")[:-1]:
        assert part.startswith(b"data: "), part
        text = part.removeprefix(b"data: ").decode()
        found.append(json.loads(text) if text.startswith("{") else text)
    return found
