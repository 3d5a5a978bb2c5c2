"""The composition roots of gateway, controller and worker: from settings to objects that know each other.

Each `run_…` owns its process: its event loop, signals, log and exit code. Nothing else in Argosy makes these choices.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from argosy.config.environment import Environment
from argosy.errors import InputError
from argosy.protocol.admin import FleetTable
from argosy.state import FleetFolder


@dataclass(frozen=True)
class GatewaySettings:
    """What a gateway is started with."""

    host: str
    port: int  # 0: a free one
    client_keys: tuple[str, ...]  # none: open, on loopback
    allowed_hosts: tuple[str, ...]
    max_body_bytes: int
    grace_seconds: float
    table: FleetTable  # what it knows at its start


def run_gateway(
    settings: GatewaySettings, folder: FleetFolder, environment: Environment, on_listening: Callable[[str], None]
) -> int:
    """Serves until SIGTERM or SIGINT, then finishes what runs (a second signal does not wait). Returns the exit code.

    `on_listening` is told the address once the door is open. Raises InputError when the port cannot be had.
    """
    from argosy.telemetry import logging  # noqa: PLC0415

    logging.configure()
    listener = listen(settings.host, settings.port)
    import uvloop  # noqa: PLC0415

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve_gateway(settings, folder, environment, listener, on_listening))


async def _serve_gateway(
    settings: GatewaySettings,
    folder: FleetFolder,
    environment: Environment,
    listener: socket.socket,
    on_listening: Callable[[str], None],
) -> int:
    from argosy.dispatch.dispatcher import Dispatcher  # noqa: PLC0415
    from argosy.gateway.access_log import AccessLog  # noqa: PLC0415
    from argosy.gateway.admin import FleetSurface  # noqa: PLC0415
    from argosy.gateway.app import Gateway  # noqa: PLC0415
    from argosy.gateway.auth import Gatekeeper  # noqa: PLC0415
    from argosy.gateway.openai import OpenAISurface  # noqa: PLC0415
    from argosy.gateway.prober import Prober  # noqa: PLC0415
    from argosy.gateway.relay import Relay  # noqa: PLC0415
    from argosy.gateway.upstreams import Upstreams  # noqa: PLC0415
    from argosy.processes.identity import ProcessIdentity  # noqa: PLC0415
    from argosy.registry.registry import Registry  # noqa: PLC0415
    from argosy.state import ProcessRecord, write_json  # noqa: PLC0415
    from argosy.wire.client import Client  # noqa: PLC0415

    clock = time.monotonic
    admin_key = environment.admin_key or folder.make_secret("admin_key")
    join_token = environment.join_token or folder.make_secret("join_token")
    registry = Registry()
    registry.apply_table(settings.table, clock())
    dispatcher = Dispatcher(registry, clock=clock, draw=random.random)
    upstreams = Upstreams(join_token, environment.variables)
    gatekeeper = Gatekeeper(settings.client_keys, admin_key, (settings.host, *settings.allowed_hosts))
    log = AccessLog(sys.stdout)
    client = Client()
    gateway = Gateway(
        registry=registry,
        surface=OpenAISurface(
            registry,
            Relay(registry, dispatcher, upstreams, clock),
            gatekeeper,
            max_body_bytes=settings.max_body_bytes,
            clock=clock,
            on_end=log.write,
        ),
        fleet=FleetSurface(
            registry=registry,
            dispatcher=dispatcher,
            gatekeeper=gatekeeper,
            join_token=join_token,
            client=client,
            clock=clock,
            on_table=lambda table: write_json(folder.table, table),
        ),
        gatekeeper=gatekeeper,
        upstreams=upstreams,
        prober=Prober(registry, upstreams, clock),
        clock=clock,
    )
    address = address_of(listener)
    record = ProcessRecord(identity=ProcessIdentity.own(), address=address)
    write_json(folder.gateway, record)
    tables = asyncio.create_task(gateway.run())
    try:
        await serve(gateway, listener, settings.grace_seconds, lambda: on_listening(address))
    finally:
        tables.cancel()
        await asyncio.gather(tables, return_exceptions=True)
        await client.close()
        log.flush()
        _forget_own_record(folder, record)
    return 0


def _forget_own_record(folder: FleetFolder, record: object) -> None:
    from argosy.state import ProcessRecord, read_json  # noqa: PLC0415

    if read_json(folder.gateway, ProcessRecord) == record:
        folder.gateway.unlink(missing_ok=True)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises InputError in a sentence when the address cannot be had."""
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    try:
        return socket.create_server((bare, port), family=family, backlog=4096)
    except OSError as error:
        raise InputError(f"the gateway cannot listen on {host} port {port}: {error.strerror or error}") from None


def address_of(listener: socket.socket) -> str:
    """http://host:port by which this machine reaches the listener: a wildcard is reached by loopback."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(app: object, listener: socket.socket, grace_seconds: float, on_listening: Callable[[], None]) -> None:
    """Serves an ASGI application on a socket until SIGTERM or SIGINT; what runs then gets the grace period."""
    import uvicorn  # noqa: PLC0415

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_listening()

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.handle_exit, number, None)
            yield  # the loop ends with the process: handlers need not be put back

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(grace_seconds)),
    )
    await Server(config).serve(sockets=[listener])
