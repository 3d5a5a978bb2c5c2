"""The protocol under the door by itself: framing, order, leave-taking, and faults of the application above it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import pytest
import uvicorn
from uvicorn.server import ServerState

from argosy.wire.server import CLIENT_LEFT, UNREAD_BODY_BYTES, HttpProtocol
from engines import chunk
from waiting import eventually

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass
class Talk:
    """A client's side of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until(self, end: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(end), 5)

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 5)


class Server:
    """An application behind the protocol on a free port. `seen`: its requests' scopes; `ends`: what became of them."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.seen: list[dict[str, Any]] = []
        self.ends: list[str] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        config = uvicorn.Config(self._run, interface="asgi3", log_config=None)
        config.load()
        self.state = ServerState()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(config, self.state, {}), sock=socket.create_server(("127.0.0.1", 0))
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._server.close()
        await eventually(lambda: not self.state.connections and not self.state.tasks)

    async def say(self, data: bytes) -> Talk:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        talk = Talk(reader, writer)
        await talk.say(data)
        return talk

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope)
        try:
            await self.app(scope, receive, send)
        except asyncio.CancelledError as cancelled:
            self.ends.append(f"cancelled: {cancelled}")
            raise
        self.ends.append("returned")


def get(path: str = "/", *lines: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/{version}", "host: a", *lines, "", ""]).encode()


def post(body: bytes, *lines: str) -> bytes:
    return "\r\n".join(["POST / HTTP/1.1", "host: a", f"content-length: {len(body)}", *lines, "", ""]).encode() + body


def plain(body: bytes = b"hello", status: int = 200, *headers: tuple[bytes, bytes]) -> App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body})

    return app


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await plain(scope["path"].encode() + b" " + body)(scope, receive, send)


async def in_parts(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]})
    for part in (b"one", b"", b"two"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


def waiting_for(gate: asyncio.Event, app: App) -> App:
    async def waits(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await app(scope, receive, send)

    return waits


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server(echo) as started:
        yield started


# framing


async def test_a_whole_answer_tells_its_length(server: Server) -> None:
    server.app = plain(b"hello", 200, (b"x-a", b"b"))
    talk = await server.say(get())
    assert await talk.until(b"hello") == b"HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 5\r\n\r\nhello"


async def test_an_answer_in_parts_is_chunked(server: Server) -> None:
    server.app = in_parts
    talk = await server.say(get())
    head, _, body = (await talk.until(b"0\r\n\r\n")).partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 OK\r\nx-a: b\r\ntransfer-encoding: chunked"
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_an_old_client_gets_parts_up_to_the_end_of_its_connection(server: Server) -> None:
    server.app = in_parts
    talk = await server.say(get(version="1.0"))
    assert (await talk.rest()).endswith(b"connection: close\r\n\r\nonetwo")


async def test_head_and_204_have_no_body(server: Server) -> None:
    server.app = plain(b"hello")
    talk = await server.say(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (await talk.until(b"\r\n\r\n")).endswith(b"content-length: 5\r\n\r\n")
    server.app = plain(b"", 204)
    await talk.say(get())
    assert await talk.until(b"\r\n\r\n") == b"HTTP/1.1 204 No Content\r\n\r\n"
    server.app = plain(b"there")
    await talk.say(get())
    assert (await talk.until(b"there")).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("target", "path", "raw", "query"),
    [
        ("/a%2Fb/%E7%A7%8B?x=%20&y", "/a/b/秋", b"/a%2Fb/%E7%A7%8B", b"x=%20&y"),
        ("http://other/a?b", "/a", b"/a", b"b"),
        ("/?", "/", b"/", b""),
    ],
)
async def test_a_target_is_split_and_decoded_once(
    server: Server, target: str, path: str, raw: bytes, query: bytes
) -> None:
    talk = await server.say(get(target))
    await talk.until(path.encode())
    scope = server.seen[0]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw, query)


async def test_a_body_ends_where_it_says_and_the_next_request_begins_there(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    talk = await server.say(head + chunk(b"one") + chunk(b"two") + b"0\r\n\r\n" + post(b"three") + get("/next"))
    told = await talk.until(b"/next ")
    assert told.index(b"/ onetwo") < told.index(b"/ three") < told.index(b"/next ")


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\n"
AMBIGUOUS: dict[str, bytes] = {
    "two lengths": POST + b"content-length: 0\r\ncontent-length: 36\r\n\r\n",
    "a length and chunks": POST + b"content-length: 41\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks that are not the last coding": POST + b"transfer-encoding: chunked, x\r\n\r\n0\r\n\r\n",
    "a length that is no number": POST + b"content-length: 0x24\r\n\r\n",
    "a space before the colon": POST + b"content-length : 36\r\n\r\n",
    "a folded header": POST + b"x: y\r\n content-length: 36\r\n\r\n",
    "a lone line feed": b"POST / HTTP/1.1\nhost: a\ncontent-length: 36\n\n",
    "a bad chunk": POST + b"transfer-encoding: chunked\r\n\r\n0 \r\r\n\r\n",
}


@pytest.mark.parametrize("ambiguity", AMBIGUOUS)
async def test_no_request_hides_in_the_body_of_another(server: Server, ambiguity: str) -> None:
    """Where two readers could disagree on a body's end, nothing behind it is taken for a request and answered."""
    talk = await server.say(AMBIGUOUS[ambiguity] + SMUGGLED)
    talk.writer.write_eof()
    told = await talk.rest()
    assert b"/smuggled" not in told
    assert "/smuggled" not in [scope["path"] for scope in server.seen]


# connections


async def test_a_connection_carries_one_request_after_another(server: Server) -> None:
    talk = await server.say(get("/1"))
    await talk.until(b"/1 ")
    await talk.say(post(b"body"))
    await talk.until(b"/ body")
    assert len(server.state.connections) == 1


@pytest.mark.parametrize(
    "asked", [get("/", "connection: close"), get(version="1.0")], ids=["asked for", "an old client"]
)
async def test_a_connection_is_closed_when_its_client_wants_no_more(server: Server, asked: bytes) -> None:
    assert b"connection: close" in await (await server.say(asked)).rest()


async def test_nonsense_after_a_request_does_not_spoil_its_answer(server: Server) -> None:
    gate = asyncio.Event()
    server.app = waiting_for(gate, plain(b"whole"))
    talk = await server.say(get() + b"nonsense\r\n\r\n")
    await eventually(lambda: len(server.seen) == 1)
    gate.set()
    assert (await talk.rest()).endswith(b"whole")


async def test_a_body_that_turns_into_nonsense_is_never_half_a_request(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    talk = await server.say(head + chunk(b"one"))
    await eventually(lambda: len(server.seen) == 1)
    await talk.say(b"nonsense\r\n")
    assert b" 200 " not in await talk.rest()
    assert server.ends == [f"cancelled: {CLIENT_LEFT}"]


async def test_a_server_that_stops_closes_what_is_idle_and_finishes_what_runs(server: Server) -> None:
    gate = asyncio.Event()
    idle = await server.say(get("/idle"))
    await idle.until(b"/idle ")
    server.app = waiting_for(gate, plain(b"whole"))
    running = await server.say(get())
    await eventually(lambda: len(server.seen) == 2)
    for connection in list(server.state.connections):
        connection.shutdown()
    assert await idle.rest() == b""
    gate.set()
    told = await running.rest()
    assert b"connection: close" in told
    assert told.endswith(b"whole")


# leaving


async def test_a_client_that_leaves_ends_its_request(server: Server) -> None:
    server.app = waiting_for(asyncio.Event(), plain())
    talk = await server.say(get())
    await eventually(lambda: len(server.seen) == 1)
    talk.writer.close()
    await eventually(lambda: server.ends == [f"cancelled: {CLIENT_LEFT}"], seconds=1)


async def test_a_client_that_leaves_after_its_answer_ends_nothing(server: Server) -> None:
    talk = await server.say(get())
    await talk.until(b"/ ")
    talk.writer.close()
    await eventually(lambda: not server.state.connections)
    assert server.ends == ["returned"]


# faults of the application


async def test_a_fault_of_ours_is_a_500_in_the_envelope(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("ours")

    server.app = app
    head, _, body = (await (await server.say(get())).rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert json.loads(body)["error"]["type"] == "server_error"
    assert b"ours" not in body
    assert "ValueError: ours" in caplog.text


@pytest.mark.parametrize("fails", [False, True], ids=["that stops", "that fails"])
async def test_an_answer_in_the_middle_is_cut_so_that_nobody_takes_it_for_whole(
    server: Server, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        if fails:
            raise ValueError("ours")

    server.app = app
    assert (await (await server.say(get())).rest()).endswith(b"3\r\none\r\n")
    assert ("ValueError" in caplog.text) is fails


async def test_an_application_that_does_not_answer_ends_the_connection(server: Server) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        pass

    server.app = app
    assert await (await server.say(get())).rest() == b""


# holding back


async def test_a_refusal_reaches_a_client_that_is_still_sending(server: Server) -> None:
    server.app = plain(b"too large", 413)
    size = 20_000_000
    talk = await server.say(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size)
    assert (await talk.until(b"too large")).startswith(b"HTTP/1.1 413")
    await asyncio.wait_for(talk.say(b"x" * size), 5)
    server.app = plain(b"next")
    await talk.say(get())
    assert (await talk.until(b"next")).startswith(b"HTTP/1.1 200")


async def test_a_body_that_nobody_reads_holds_back_its_client(server: Server) -> None:
    gate, held = asyncio.Event(), list[int]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            held.append(len(message["body"]))
            more = message["more_body"]
        await plain(str(sum(held)).encode())(scope, receive, send)

    server.app = waiting_for(gate, app)
    size = 30_000_000
    talk = await server.say(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size)
    sending = asyncio.create_task(talk.say(b"x" * size))
    await asyncio.wait([sending], timeout=0.1)
    assert not sending.done()
    gate.set()
    assert (await talk.until(str(size).encode())).startswith(b"HTTP/1.1 200")
    assert max(held) < 4 * UNREAD_BODY_BYTES
    await sending


async def test_a_slow_reader_holds_back_the_application(server: Server) -> None:
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while sent < 200_000_000:
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            sent += 100_000
            await asyncio.sleep(0)

    server.app = app
    talk = await server.say(get())
    talk.reader._transport.pause_reading()  # type: ignore[attr-defined]
    before = -1
    while before != sent or not sent:
        before = sent
        for _ in range(10):
            await (await server.say(b"nonsense\r\n\r\n")).rest()
    assert sent < 50_000_000
    talk.writer.transport.abort()
    await eventually(lambda: server.ends == [f"cancelled: {CLIENT_LEFT}"], seconds=1)
