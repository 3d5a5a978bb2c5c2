"""A controller as the command line talks to it: found by its record, asked over loopback with the admin key."""

from __future__ import annotations

import urllib.parse
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from argosy.config.schema import Fleet
from argosy.errors import ArgosyError, InputError, UnavailableError
from argosy.protocol.admin import Event, FleetReport, FleetRequest
from argosy.wire.client import Answer, Client
from argosy.wire.sse import SseDecoder

_SECONDS = 20.0


class ControllerClient:
    """`address` and `admin_key`: of one controller. Raises UpstreamError where it cannot be reached."""

    def __init__(self, client: Client, *, address: str, admin_key: str) -> None:
        self._client = client
        self._base = f"{address}/argosy/v1/fleet"
        self._headers = {"authorization": f"Bearer {admin_key}"}

    async def report(self) -> FleetReport:
        return _report(await self._ask("GET", ""))

    async def apply(self, fleet: Fleet) -> FleetReport:
        request = FleetRequest(fleet=fleet.model_dump(mode="json", exclude_defaults=True))
        return _report(await self._ask("PUT", "", msgspec.json.encode(request)))

    async def stop(self, deployment: str) -> FleetReport:
        return _report(await self._ask("POST", f"/stop/{urllib.parse.quote(deployment)}"))

    async def start(self, name: str) -> FleetReport:
        return _report(await self._ask("POST", f"/start/{urllib.parse.quote(name)}"))

    async def scale(self, deployment: str, replicas: int) -> FleetReport:
        return _report(await self._ask("POST", f"/scale/{urllib.parse.quote(deployment)}?replicas={replicas}"))

    async def restart(self, deployment: str) -> FleetReport:
        return _report(await self._ask("POST", f"/restart/{urllib.parse.quote(deployment)}"))

    async def drain(self, replica: str) -> FleetReport:
        return _report(await self._ask("POST", f"/drain/{urllib.parse.quote(replica)}"))

    async def down(self, *, now: bool = False) -> None:
        await self._ask("POST", "/down?now=1" if now else "/down")

    async def events(self, *, connected: Callable[[], None] = lambda: None) -> AsyncIterator[Event]:
        """How things are, then every change, until the controller ends. Raises BrokenAnswerError when it breaks off."""
        decoder = SseDecoder()
        async with self._client.stream(
            "GET", f"{self._base}/events", headers=self._headers, seconds=_SECONDS
        ) as answer:
            connected()
            async for chunk in answer.chunks():
                for event in decoder.feed(chunk):
                    yield msgspec.json.decode(event.data, type=Event)

    async def _ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        headers = {**self._headers, "content-type": "application/json"}
        answer = await self._client.request(method, f"{self._base}{path}", headers=headers, body=body, seconds=_SECONDS)
        return checked(answer, "the controller")


def checked(answer: Answer, who: str) -> Answer:
    """One that says yes. Raises UnavailableError, InputError or ArgosyError with what it says instead."""
    if answer.status == 200:
        return answer
    message = _message(answer, who)
    if answer.status == 503:
        raise UnavailableError(message)
    raise InputError(message) if answer.status in (400, 404) else ArgosyError(message)


def _report(answer: Answer) -> FleetReport:
    return msgspec.json.decode(answer.body, type=FleetReport)


def _message(answer: Answer, who: str) -> str:
    try:
        body: dict[str, Any] = msgspec.json.decode(answer.body, type=dict[str, Any])
        return str(body["error"]["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"{who} answered {answer.status}"
