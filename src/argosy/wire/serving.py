"""Serving an ASGI application: a listening socket, its address, and uvicorn over wire/server.py's protocol.

Owns how uvicorn is set up in Argosy. Who ends a server, and by which signal, is its owner's affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import Callable, Iterator

import uvicorn

from argosy.errors import InputError
from argosy.wire.server import HttpProtocol


class Server(uvicorn.Server):
    """Leaves signals to its owner, who sets `should_exit`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Takes nothing new and finishes what runs; at the second call without waiting."""
        self.force_exit = self.should_exit
        self.should_exit = True


def listen(host: str, port: int, *, who: str = "the gateway") -> socket.socket:
    """A listening socket. Raises InputError in a sentence when the address cannot be had."""
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    try:
        return socket.create_server((bare, port), family=family, backlog=4096)
    except OSError as error:
        raise InputError(f"{who} cannot listen on {host} port {port}: {error.strerror or error}") from None


def address_of(listener: socket.socket, scheme: str = "http") -> str:
    """scheme://host:port by which this machine reaches the listener: a wildcard is reached by loopback."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def server_of(app: object, *, grace_seconds: float, tls: ssl.SSLContext | None = None) -> Server:
    """A server of that application, not started yet. What runs at its end gets the grace period."""
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=HttpProtocol,
        interface="asgi3",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(grace_seconds)),
    )
    config.load()
    config.ssl = tls
    return Server(config)


async def serve(
    app: object,
    listener: socket.socket,
    grace_seconds: float,
    on_listening: Callable[[], None],
    *,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serves on a socket until SIGTERM or SIGINT; a second signal does not wait for what runs."""
    server = server_of(app, grace_seconds=grace_seconds, tls=tls)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)  # never put back: the loop ends with the process
    on_listening()  # the socket listens already: who connects now is answered in a moment
    await server.serve(sockets=[listener])
