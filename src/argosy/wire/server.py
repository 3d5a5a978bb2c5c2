"""HTTP/1.1 as a server: an ASGI protocol on httptools that uvicorn runs (its `http` setting takes a class).

Made for a relay, it differs from uvicorn's own in four ways: an answer's head and first bytes leave in one write; the
task of a request is cancelled when its client leaves; nothing is scheduled per request but that task, and not even that
where the application allows it (driven.py); and a head is bounded in size and time. uvicorn keeps what it is good at:
listening, start, graceful stop. See docs/decisions/0004 and 0017.

Owns the connection and the framing of requests and answers. Knows no route.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast

import httptools
import uvicorn
from uvicorn.server import ServerState

from argosy.wire.driven import Driven
from argosy.wire.known_head import KnownHead
from argosy.wire.patience import DRAIN_SECONDS, LOOK_SECONDS, is_over
from argosy.wire.request_cycle import STATUS_LINES, RequestCycle
from argosy.wire.request_head import RequestHead, split_target

CLIENT_LEFT = "the client left"  # the message of the CancelledError that a request's task gets

LONGEST_HEAD_BYTES = 64 * 1024
UNREAD_BODY_BYTES = 1024 * 1024  # of a request's body, at which we stop reading from the socket

Handler = Callable[[RequestCycle], Coroutine[Any, Any, None]]
_log = logging.getLogger("argosy.wire")


class HttpProtocol(asyncio.Protocol):
    """One connection. Requests on it are answered one after another, in their order.

    The application may have `hot`: handlers of POST requests by their path, each a coroutine function that takes a
    RequestCycle and is driven (driven.py); and `also_hot`, which is asked for the handler of any other path. All else
    gets ASGI's calls, in a task.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self._app = config.loaded_app
        self._hot: Mapping[str, Handler] = getattr(self._app, "hot", {})
        self._also_hot: Callable[[str], Handler | None] = getattr(self._app, "also_hot", lambda _: None)
        self.state = server_state
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self.scheme = "http"
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int] | None = None
        self.closed = False
        self.write: Callable[[bytes], None]  # the transport's own, once there is one
        self.write_paused = False
        self._writable: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._stopping = False
        self._refused = False  # what follows is not worth reading
        # the request being read
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._heads = 0  # that the parser has seen to their end
        self._reading: RequestCycle | None = None
        self._known: KnownHead[RequestHead] | None = None
        self._left = 0  # of its body, where its head was known
        # requests being answered: the first one now
        self._cycles: deque[RequestCycle] = deque()
        self._quiet_since = self.loop.time()  # when the last request ended, or the connection was made
        self._heard_at = self._quiet_since
        self._head_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._default_headers: list[tuple[bytes, bytes]] = []
        self._default_lines = b""

    def default_lines(self) -> bytes:
        """What uvicorn adds to every answer: the date."""
        headers = self.state.default_headers
        if headers is not self._default_headers:  # once a second
            self._default_headers = headers
            self._default_lines = b"".join([b"%b: %b\r\n" % each for each in headers])
        return self._default_lines

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by type
        self.write = self._transport.write
        self.state.connections.add(self)  # type: ignore[arg-type]  # uvicorn lists its own classes
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.client = (peer[0], peer[1]) if isinstance(peer, tuple) else None
        self.server = (own[0], own[1]) if isinstance(own, tuple) else None
        if transport.get_extra_info("sslcontext") is not None:
            self.scheme = "https"
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look_at_the_time)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.state.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self.resume_writing()
        cycles, self._cycles = self._cycles, deque()
        for cycle in cycles:
            if cycle.task is not None:
                cycle.task.cancel(CLIENT_LEFT)
            cycle.wake()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._heard_at = self.loop.time()
        if self._left:
            self._body_goes_on(data)
        elif self._reading is not None or self._head_since is not None or self._cycles:
            self._parse(data)
        elif self._known is None or (found := self._known.body_of(data)) is None or found[1] < len(data) - found[0]:
            heads = self._heads
            self._parse(data)
            if self._heads == heads + 1 and self._cycles and data.startswith(b"POST "):
                head = self._cycles[0].head
                if not head.expects_continue and not self._parser.should_upgrade():
                    self._known = KnownHead.of(data, head)
        else:
            start, length = found
            cycle = RequestCycle(self, self._known.meaning, length, keep_alive=not self._stopping)
            self._cycles.append(cycle)
            if length == len(data) - start:
                cycle.whole_body(data[start:])
            else:
                self._left, self._reading = length, cycle
                self._body_goes_on(data[start:])
        assert self._transport is not None
        if self._cycles and self._cycles[0].task is None and not self._transport.is_closing():
            self._start(self._cycles[0])  # not sooner: it may run to its end before this returns

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # uvicorn, at its stop

    def shutdown(self) -> None:
        """Ends once what runs on it is answered."""
        self._stopping = True
        if self._cycles:
            for cycle in self._cycles:
                cycle.keep_alive = False
        else:
            self._close()

    # httptools, while it parses

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._head_since = None
        if self._reading is not None:
            return  # of a parser that only reads a body on
        self._heads += 1
        url, fields = self._url, dict(self._headers)
        path, raw_path, query = split_target(url)
        head = RequestHead(
            method=self._parser.get_method().decode("ascii"),
            path=path,
            raw_path=raw_path,
            query=query,
            http_version=self._parser.get_http_version(),
            headers=self._headers,
            fields=fields,
            # Asked here: once the message is over the parser has forgotten it and says no.
            keep_alive=self._parser.should_keep_alive(),
            expects_continue=fields.get(b"expect", b"").lower() == b"100-continue",
        )
        length = fields.get(b"content-length")  # digits, or the parser had refused it
        cycle = self._reading = RequestCycle(
            self,
            head,
            int(length) if length is not None else None,
            keep_alive=head.keep_alive and not self._stopping,
        )
        self._cycles.append(cycle)

    def on_body(self, body: bytes) -> None:
        cycle = self._reading
        if cycle is not None:
            cycle.body(body)
            if cycle.unread >= UNREAD_BODY_BYTES:
                self._pause_reading()

    def on_message_complete(self) -> None:
        if not self._parser.should_upgrade():  # else llhttp leaves the body to it: see _without_upgrade
            self._body_complete()

    # the cycles

    async def writable(self) -> None:
        """Until the client has read enough of what was written, or has left."""
        if self.write_paused and not self.closed:
            if self._writable is None or self._writable.done():  # done: who waited was cancelled
                self._writable = self.loop.create_future()
            await self._writable

    def resume_reading(self) -> None:
        if self._reading_paused and self._transport is not None and not self.closed:
            self._reading_paused = False
            self._transport.resume_reading()

    def cycle_ended(self, cycle: RequestCycle) -> None:
        self._quiet_since = self.loop.time()
        if cycle.message_complete:
            self._close_or_go_on(cycle)
        else:  # answered before its body was read: read on for a while, else the client never sees the answer
            self.resume_reading()
            self.loop.call_later(DRAIN_SECONDS, self._give_up_draining, cycle)

    # own affairs

    def _body_complete(self) -> None:
        cycle = self._reading
        self._reading = None
        if cycle is not None:
            cycle.message_complete = True
            cycle.wake()
            if cycle.ended:
                self._close_or_go_on(cycle)
            elif len(self._cycles) > 1:
                self._pause_reading()  # pipelined: read no more before the first is answered

    def _parse(self, data: bytes) -> None:
        if self._head_since is None and self._reading is None:
            self._head_since, self._head_bytes = self.loop.time(), 0
        came = len(data)
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade(data[upgrade.args[0] :])
                continue
            except (httptools.HttpParserError, httptools.HttpParserInvalidURLError) as error:
                self._refuse(400, str(error) or "it is malformed")
            break
        if self._head_since is not None:
            self._head_bytes += came
            if self._head_bytes > LONGEST_HEAD_BYTES:
                self._refuse(431, f"its head has more than {LONGEST_HEAD_BYTES} bytes")

    def _body_goes_on(self, data: bytes) -> None:
        """Of a request whose head was known: its length is all that tells where it ends."""
        rest = data[self._left :]
        if rest:
            data = data[: self._left]
        self._left -= len(data)
        if data:
            self.on_body(data)
        if not self._left:
            self._body_complete()
            if rest:
                self.data_received(rest)

    def _start(self, cycle: RequestCycle) -> None:
        self.state.total_requests += 1
        handler = None
        if cycle.head.method == "POST":
            path = cycle.head.path
            handler = self._hot.get(path) or self._also_hot(path)
        if handler is not None:
            driven = cycle.task = Driven(handler(cycle), cycle)
            self.state.tasks.add(driven)  # type: ignore[arg-type]  # uvicorn counts and cancels what is there
            driven.go_on()
        else:
            cycle.task = self.loop.create_task(self._run(cycle))
            self.state.tasks.add(cycle.task)

    async def _run(self, cycle: RequestCycle) -> None:
        failure = None
        try:
            await self._app(cycle.scope(), cycle.receive, cycle.send)
        except asyncio.CancelledError:
            pass  # its client has left, or the server ends: nobody waits for this task
        except Exception as error:  # noqa: BLE001  the last line of defence: the connection must not hang for a fault of ours
            failure = error
        self.cycle_over(cycle, failure)

    def cycle_over(self, cycle: RequestCycle, failure: BaseException | None) -> None:
        """A request's coroutine has come to its end."""
        self.state.tasks.discard(cycle.task)
        if failure is not None and not isinstance(failure, asyncio.CancelledError):
            _log.error("a request failed by a fault in Argosy", exc_info=failure)
            if not cycle.started:
                body = _envelope("Argosy failed on this request; its log has the details.", "server_error")
                cycle.keep_alive = False
                cycle.answer(500, b"content-type: application/json\r\n", body)
        if not cycle.ended and not self.closed:
            self._close()  # an answer that stopped in the middle: its reader must not take it for whole

    def _close_or_go_on(self, cycle: RequestCycle) -> None:
        if self._cycles and self._cycles[0] is cycle:
            self._cycles.popleft()
        if not cycle.keep_alive or self._stopping:
            self._close()
        elif self._cycles:  # pipelined: in a turn of its own, as answers at once would lie on top of each other
            self.loop.call_soon(self._start, self._cycles[0])
        elif self._reading_paused:
            self.resume_reading()

    def _without_upgrade(self, rest: bytes) -> bytes:
        """What is to be read next, where a client would rather speak another protocol (Java's HttpClient: h2c).

        It is answered in this one. llhttp stops behind such a request's head; its body is read by a parser that has not
        seen the question.
        """
        framing = [each for each in self._headers if each[0] in (b"content-length", b"transfer-encoding")]
        lines = [b"POST / HTTP/1.1", *(b"%b: %b" % each for each in framing), b"", b""]
        self._parser = httptools.HttpRequestParser(self)
        return b"\r\n".join(lines) + rest

    def _give_up_draining(self, cycle: RequestCycle) -> None:
        if not cycle.message_complete:
            self._close()

    def _close(self) -> None:
        """Once what was written has left. Who does not read it is not waited for without end: it would stay open."""
        if self._transport is not None and not self.closed:
            self._transport.close()
            if self._transport.get_write_buffer_size():
                self.loop.call_later(DRAIN_SECONDS, self._transport.abort)

    def _pause_reading(self) -> None:
        if not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def _refuse(self, status: int, why: str) -> None:
        """What came is no request: say so where nothing else is being said, and end."""
        self._refused = True
        self._head_since = None
        if self._transport is None or self.closed:
            return
        if not self._cycles:
            body = _envelope(f"This is no HTTP/1.1 request: {why}.", "invalid_request_error")
            told = f"content-length: {len(body)}\r\nx-request-id: bad-{secrets.token_hex(6)}\r\n".encode()
            rest = b"content-type: application/json\r\nconnection: close\r\n\r\n"
            self.write(STATUS_LINES[status] + told + rest + body)
            self._close()
            return
        for cycle in self._cycles:
            cycle.keep_alive = False
        if self._reading is not None and not self._reading.ended:
            self._close()  # the body of a request broke off: its answer would be of half a request

    def _look_at_the_time(self) -> None:
        reads_body = self._reading is not None and not self._reading_paused  # while we do not read, the silence is ours
        if is_over(
            self.loop.time(),
            head=self._head_since,
            body=self._heard_at if reads_body else None,
            idle=self._quiet_since if not self._cycles and self._head_since is None else None,
        ):
            self._close()
        else:
            self._timer = self.loop.call_later(LOOK_SECONDS, self._look_at_the_time)


def _envelope(message: str, kind: str) -> bytes:
    import json  # noqa: PLC0415  only for what should not happen

    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": None}}).encode()
