"""The process that is an echo engine: the OpenAI wire over HTTP, at a pace, with faults on demand.

    python -m argosy.engines.echo_server --name NAME [--port 0] [--address-file FILE] [--options JSON]

The key it wants comes by environment (none: everybody may ask). Beside the OpenAI paths: /health without a key, and
/stats: {"running", "waiting", "served", "cancelled"}, requests counted since the start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hmac
import itertools
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from argosy.engines import echo_answers
from argosy.engines.echo import Options
from argosy.engines.standalone import KEY_VARIABLE, write_address
from argosy.protocol.endpoints import CHAT, COMPLETIONS, EMBEDDINGS, TOKENIZE

_EXIT_CODE_ON_DEMAND = 3


class Echo:
    """One running echo engine: its slots, its counts, its routes."""

    def __init__(self, name: str, key: str | None, options: Options) -> None:
        self._name = name
        self._key = key
        self._options = options
        self._slots = asyncio.Semaphore(options.slots)
        self._numbers = itertools.count(1)
        self._loaded = options.load_seconds == 0 and options.fail_to_load is None
        self.running = self.waiting = self.served = self.cancelled = 0

    def app(self) -> ASGIApp:
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/stats", self._behind_key(self._stats)),
                Route("/v1/models", self._behind_key(self._models)),
                Route(CHAT, self._behind_key(self._generation(echo_answers.answer_chat)), methods=["POST"]),
                Route(
                    COMPLETIONS, self._behind_key(self._generation(echo_answers.answer_completion)), methods=["POST"]
                ),
                Route(EMBEDDINGS, self._behind_key(self._embeddings), methods=["POST"]),
                Route(TOKENIZE, self._behind_key(self._tokenize), methods=["POST"]),
            ]
        )

    async def load(self) -> None:
        """As long as loading takes; then ready, or the end of the process where it was asked to fail."""
        await asyncio.sleep(self._options.load_seconds)
        if self._options.fail_to_load is not None:
            print(self._options.fail_to_load, flush=True)  # noqa: T201 - an engine talks on stdout
            os._exit(1)
        self._loaded = True

    async def _health(self, _request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok" if self._loaded else "loading"}, 200 if self._loaded else 503)

    async def _stats(self, scope: Scope, receive: Receive, send: Send) -> None:
        counts = {name: getattr(self, name) for name in ("running", "waiting", "served", "cancelled")}
        await JSONResponse(counts)(scope, receive, send)

    async def _models(self, scope: Scope, receive: Receive, send: Send) -> None:
        model = {"id": self._name, "object": "model", "created": int(time.time()), "owned_by": "echo"}
        await JSONResponse({"object": "list", "data": [model]})(scope, receive, send)

    async def _embeddings(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        try:
            answer = echo_answers.answer_embeddings(body, model=self._name, dimensions=self._options.dimensions)
        except msgspec.DecodeError as error:
            await _error(400, str(error))(scope, receive, send)
            return
        self.served += 1
        await JSONResponse(answer)(scope, receive, send)

    async def _tokenize(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        try:
            answer = echo_answers.answer_tokenize(body, context=self._options.context)
        except msgspec.DecodeError as error:
            await _error(400, str(error))(scope, receive, send)
            return
        await JSONResponse(answer)(scope, receive, send)

    def _generation(self, answering: Callable[..., echo_answers.Answer]) -> ASGIApp:
        async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
            body = await Request(scope, receive).body()
            try:
                answer = answering(
                    body,
                    model=self._name,
                    number=next(self._numbers),
                    now=time.time(),
                    faults=self._options.faults,
                )
            except msgspec.DecodeError as error:
                await _error(400, str(error))(scope, receive, send)
                return
            # A client that leaves is seen by awaiting receive() alone; then the answer is given up at once.
            speaking = asyncio.create_task(self._in_slot(answer, scope, receive, send))
            leaving = asyncio.create_task(_left(receive))
            try:
                await asyncio.wait({speaking, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if speaking.done():
                    self.served += 1
                    await speaking
                else:
                    self.cancelled += 1
            finally:
                for task in (speaking, leaving):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

        return endpoint

    async def _in_slot(self, answer: echo_answers.Answer, scope: Scope, receive: Receive, send: Send) -> None:
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            if answer.fault is not None and answer.fault.kind == "status":
                await _error(answer.fault.status, "as the prompt asked")(scope, receive, send)
            elif answer.stream:
                await self._stream(answer, send)
            else:
                await self._plain(answer, send)
        finally:
            self.running -= 1
            self._slots.release()

    async def _stream(self, answer: echo_answers.Answer, send: Send) -> None:
        start, said = time.monotonic(), 0
        if answer.fault is not None and answer.fault.kind in ("crash", "exit", "hang"):
            await self._fault(answer.fault, 0)  # at once: not even a head
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for has_token, event in answer.events():
            if not await self._fault(answer.fault, said):
                return
            if has_token:
                await self._until_due(start, said // len(answer.choices))
                said += 1
            await self._send(b"data: " + msgspec.json.encode(event) + b"\n\n", send)
        await self._send(b"data: [DONE]\n\n", send)
        await send({"type": "http.response.body", "body": b""})

    async def _plain(self, answer: echo_answers.Answer, send: Send) -> None:
        """After as long as the same answer's stream would take."""
        start, body = time.monotonic(), msgspec.json.encode(answer.plain())
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        head = {"type": "http.response.start", "status": 200, "headers": headers}
        tokens = max((len(choice.tokens) for choice in answer.choices), default=0)
        for said in range(tokens + 1):
            if not await self._fault(answer.fault, said):
                await send(head)
                await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
                return
            if said < tokens:
                await self._until_due(start, said)
        await send(head)
        await send({"type": "http.response.body", "body": body})

    async def _until_due(self, start: float, turn: int) -> None:
        pace = self._options.tokens_per_second
        due = start + self._options.first_token_seconds + (turn / pace if pace else 0)
        if (left := due - time.monotonic()) > 0:
            await asyncio.sleep(left)

    async def _fault(self, fault: echo_answers.Fault | None, said: int) -> bool:
        """Lets the fault happen when its time has come; False to break the connection off."""
        if fault is None or said < fault.after:
            return True
        if fault.kind == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.kind == "exit":
            os._exit(_EXIT_CODE_ON_DEMAND)
        if fault.kind in ("hang", "stall"):
            await _never()
        return fault.kind != "break"

    async def _send(self, data: bytes, send: Send) -> None:
        size = self._options.split_bytes or len(data)
        for start in range(0, len(data), size):
            await send({"type": "http.response.body", "body": data[start : start + size], "more_body": True})
            await asyncio.sleep(0)  # a client that left is noticed, and the others get their turn

    def _behind_key(self, endpoint: ASGIApp) -> ASGIApp:
        async def checked(scope: Scope, receive: Receive, send: Send) -> None:
            sent = dict(scope["headers"]).get(b"authorization", b"")
            if self._key is not None and not hmac.compare_digest(sent, f"Bearer {self._key}".encode()):
                await _error(401, "wrong key", kind="authentication_error")(scope, receive, send)
            elif not self._loaded:
                await _error(503, "still loading", kind="server_error")(scope, receive, send)
            else:
                await endpoint(scope, receive, send)

        return _AsgiEndpoint(checked)


class _AsgiEndpoint:
    """Starlette takes a plain function for a request handler, an object for an ASGI app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _error(status: int, message: str, *, kind: str = "invalid_request_error") -> JSONResponse:
    error: dict[str, Any] = {"message": message, "type": kind, "param": None, "code": None}
    return JSONResponse({"error": error}, status)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _never() -> NoReturn:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody completes this future")


def listen(port: int) -> socket.socket:
    """A listening socket on loopback. Raises OSError when the port is taken."""
    # Its protocol named: else asyncio does not take it for TCP, and sets no TCP_NODELAY on its connections.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(2048)
    return listener


async def _serve(echo: Echo, listener: socket.socket) -> None:
    config = uvicorn.Config(
        echo.app(), log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    loading = asyncio.create_task(echo.load())
    try:
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        loading.cancel()


def main(argv: list[str], environment: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m argosy.engines.echo_server")
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--address-file", type=Path)
    parser.add_argument("--options", default="{}")
    given = parser.parse_args(argv)
    options = Options.model_validate_json(given.options)
    try:
        listener = listen(given.port)
    except OSError as error:
        print(f"echo cannot listen on port {given.port}: {error.strerror}", flush=True)  # noqa: T201
        return 1
    if given.address_file is not None:
        write_address(given.address_file, f"http://127.0.0.1:{listener.getsockname()[1]}")
    asyncio.run(_serve(Echo(given.name, environment.get(KEY_VARIABLE), options), listener))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
