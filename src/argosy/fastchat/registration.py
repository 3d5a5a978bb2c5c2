"""A worker of ours at an old FastChat controller: its door for FastChat's processes, its registration, its heartbeats.

FastChat's protocol has no word for leaving: while our engine cannot serve we send no heartbeats and tell no status, so
the controller forgets us when somebody asks it to look again, or after 90 seconds.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import msgspec

from argosy.errors import InputError, UpstreamError
from argosy.fastchat.offer import Offer
from argosy.protocol.replica import FastChatSettings
from argosy.telemetry.logging import EventLog
from argosy.wire.client import Client
from argosy.wire.origin import split_url
from argosy.wire.serving import address_of, listen, server_of
from argosy.worker.listener import Target

_HEARTBEAT_SECONDS = 15.0  # FastChat's own workers wait 45: a controller that was started again knows us sooner
_LOOK_SECONDS = 0.5
_ASK_SECONDS = 5.0

_log = EventLog("fastchat")


class Registration:
    """`run` is its task, for as long as the worker."""

    def __init__(
        self,
        settings: FastChatSettings,
        *,
        names: list[str],
        secret: str,
        client: Client,
        target: Callable[[], Target | None],
    ) -> None:
        self._controller = settings.controller
        self._client = client
        self._target = target
        self._offer = Offer(client=client, names=names, secret=secret, target=target)
        self._listener = listen(_own_address(settings.controller), settings.port, who="the door for FastChat")
        self._address = settings.advertise or address_of(self._listener)
        self._trouble = ""

    async def run(self) -> None:
        """Until cancelled."""
        server = server_of(self._offer.app(), grace_seconds=1)
        serving = asyncio.create_task(server.serve(sockets=[self._listener]))
        _log.info("fastchat.offered", controller=self._controller, address=self._address)
        try:
            while True:
                if self._target() is None:
                    await asyncio.sleep(_LOOK_SECONDS)
                    continue
                known = await self._tell()
                await self._while_served(_HEARTBEAT_SECONDS if known else _LOOK_SECONDS)
        finally:
            server.should_exit = server.force_exit = True
            await serving

    async def _while_served(self, seconds: float) -> None:
        while seconds > 0 and self._target() is not None:
            await asyncio.sleep(min(seconds, _LOOK_SECONDS))
            seconds -= _LOOK_SECONDS

    async def _tell(self) -> bool:
        """A heartbeat, and a registration where the controller does not know us. Whether it knows us now."""
        beat = {"worker_name": self._address, "queue_length": self._offer.queue_length}
        try:
            answer = await self._post("/receive_heart_beat", beat)
            if not (isinstance(answer, dict) and answer.get("exist")):
                status = self._offer.status()
                told = {"worker_name": self._address, "check_heart_beat": True, "worker_status": status}
                await self._post("/register_worker", {**told, "multimodal": False})
                _log.info("fastchat.registered", controller=self._controller, address=self._address)
        except UpstreamError as error:
            if str(error) != self._trouble:  # a line for each reason, none for each attempt
                _log.warning("fastchat.controller_away", controller=self._controller, reason=str(error))
            self._trouble = str(error)
            return False
        self._trouble = ""
        return True

    async def _post(self, path: str, body: dict[str, object]) -> object:
        answer = await self._client.request(
            "POST",
            f"{self._controller}{path}",
            headers={"content-type": "application/json"},
            body=msgspec.json.encode(body),
            seconds=_ASK_SECONDS,
        )
        if answer.status != 200:
            raise UpstreamError(f"{self._controller} answered {path} with {answer.status}: {answer.body[:200]!r}")
        try:
            return msgspec.json.decode(answer.body)
        except msgspec.DecodeError:
            raise UpstreamError(
                f"{self._controller} answered {path} with no JSON: is it FastChat's controller?"
            ) from None


def _own_address(controller: str) -> str:
    """Our address on the way to the controller: loopback where it is on this machine. Raises InputError."""
    origin, _ = split_url(controller)
    try:
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = next((each for each in found if each[0] == socket.AF_INET), found[0])
        with socket.socket(family, kind, protocol) as way:
            way.connect(address)
            return str(way.getsockname()[0])
    except OSError as error:
        raise InputError(f"--fastchat-controller {controller}: no way there ({error})") from None
