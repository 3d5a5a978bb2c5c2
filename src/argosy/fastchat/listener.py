"""The FastChat listener: what FastChat's controller answers, so that its old workers and tools find one here.

Owns the roll of old workers, asks each of them again and again how it is, and keeps a replica for every model that one
has. Knows peers by their address alone: those processes can send no key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from argosy.config.values import check_name
from argosy.errors import BadRequestError, ConnectError, ForbiddenError, RequestError, UpstreamError
from argosy.fastchat.addresses import Allowed
from argosy.fastchat.bodies import read, read_bytes
from argosy.fastchat.frames import as_frame
from argosy.fastchat.old_worker import OldWorker, WorkerStatus
from argosy.fastchat.replica import OldReplica, replica_id
from argosy.fastchat.roll import Registration, Roll
from argosy.protocol.openai import error_body
from argosy.state import read_json, write_json
from argosy.tasks import set_within
from argosy.telemetry.logging import EventLog
from argosy.wire.client import Client
from argosy.wire.request_body import decoded

_PROBE_SECONDS = 2.0  # between two, and for each
_FIRST_PROBE_SECONDS = 0.25  # while a worker has registered and does not listen yet
_NO_WORKER = 50005  # FastChat's code

_log = EventLog("fastchat")


class _RegisterRequest(msgspec.Struct, frozen=True):
    worker_name: str
    check_heart_beat: bool = True
    worker_status: WorkerStatus | None = None
    multimodal: bool = False


class _HeartbeatRequest(msgspec.Struct, frozen=True):
    worker_name: str
    queue_length: int = 0


class _ModelRequest(msgspec.Struct, frozen=True):
    model: str


class Listener:
    """`replica_of`: makes the replica of a worker's model. `file`: where the roll is kept."""

    def __init__(
        self,
        *,
        allowed: Allowed,
        client: Client,
        file: Path,
        replica_of: Callable[[Registration, str, Callable[[str], None]], OldReplica],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._allowed = allowed
        self._client = client
        self._file = file
        self._replica_of = replica_of
        self._clock = clock
        self._roll = Roll()
        self._replicas: dict[str, tuple[OldReplica, asyncio.Task[None]]] = {}
        self._drained: set[str] = set()  # by order, until their worker registers again
        self._unnamed: set[str] = set()  # models whose name no deployment may have
        self._news = asyncio.Event()

    def app(self) -> ASGIApp:
        routes = {
            "/register_worker": self._register,
            "/receive_heart_beat": self._heartbeat,
            "/refresh_all_workers": self._refresh,
            "/list_models": self._models(None),
            "/list_multimodal_models": self._models(multimodal=True),
            "/list_language_models": self._models(multimodal=False),
            "/get_worker_address": self._address,
            "/worker_generate_stream": self._generate,
            "/worker_get_status": self._status,
        }
        made = [Route(path, _told(endpoint), methods=["POST"]) for path, endpoint in routes.items()]
        made.append(Route("/test_connection", _told(self._test), methods=["GET"]))
        return _Fence(Starlette(routes=made), self._allowed)

    async def run(self) -> None:
        """Keeps replicas as the roll is, until cancelled; then all of them leave."""
        now = self._clock()
        for known in read_json(self._file, list[Registration]) or []:
            if self._allowed.has(known.url.rpartition("://")[2].rpartition(":")[0].strip("[]")):
                self._roll.enter(known, now)
        try:
            while True:
                self._news.clear()
                await self._probe_all()
                self._settle()
                waits = any(not each.answers and each.silent <= 20 for each in self._roll.entries)
                await set_within(self._news, _FIRST_PROBE_SECONDS if waits else _PROBE_SECONDS)
        finally:
            for _, task in self._replicas.values():
                task.cancel()
            await asyncio.gather(*(task for _, task in self._replicas.values()), return_exceptions=True)

    # the roll, kept

    async def _probe_all(self) -> None:
        await asyncio.gather(*(self._probe(each) for each in self._roll.entries))

    async def _probe(self, known: Registration) -> None:
        try:
            status = await OldWorker(self._client, known.url).status(_PROBE_SECONDS)
        except UpstreamError as error:
            self._roll.seen(known.name, str(error), self._clock(), gone=isinstance(error, ConnectError))
        else:
            known.models = status.model_names
            self._roll.seen(known.name, None, self._clock(), queue_length=status.queue_length)

    def _settle(self) -> None:
        """Replicas for what answers or has answered, none for who was struck off."""
        for gone in self._roll.strike_off(self._clock()):
            _log.warning("fastchat.worker_left", worker=gone.name, reason=gone.reason or "no heartbeat for 90 s")
        wanted: dict[str, tuple[Registration, str]] = {}
        for each in self._roll.entries:
            wanted |= {replica_id(model, each.name): (each, model) for model in each.models if self._may_be(model)}
        for replica, (running, task) in list(self._replicas.items()):
            if task.done():
                del self._replicas[replica]
                if not task.cancelled() and (error := task.exception()):
                    _log.warning("fastchat.replica_ended", replica=replica, reason=repr(error))
            elif replica not in wanted or not running.serves(wanted[replica][0]):
                task.cancel()
        for replica, (registration, model) in wanted.items():
            if replica not in self._replicas and replica not in self._drained:
                made = self._replica_of(registration, model, self._drained.add)
                self._replicas[replica] = made, asyncio.create_task(made.run(), name=replica)
            if replica in self._replicas:
                self._replicas[replica][0].follow(registration)
        self._keep()

    def _keep(self) -> None:
        write_json(self._file, self._roll.entries)

    def _may_be(self, model: str) -> bool:
        if model in self._unnamed:
            return False
        try:
            check_name(model)
        except ValueError as error:
            self._unnamed.add(model)
            _log.warning("fastchat.model_left_out", model=model, reason=str(error))
            return False
        return True

    # FastChat's controller

    async def _register(self, request: Request) -> Response:
        asked = await read(request, _RegisterRequest)
        url = await self._allowed.checked(asked.worker_name)
        status = asked.worker_status
        if status is None:
            try:
                status = await OldWorker(self._client, url).status()
            except UpstreamError as error:
                raise BadRequestError(f"worker_name: {asked.worker_name} does not tell how it is: {error}") from None
        known = {each.name for each in self._roll.entries}
        self._roll.enter(
            Registration(
                name=asked.worker_name,
                url=url,
                models=status.model_names,
                speed=status.speed,
                queue_length=status.queue_length,
                check_heart_beat=asked.check_heart_beat,
                multimodal=asked.multimodal,
            ),
            self._clock(),
        )
        self._drained -= {replica_id(model, asked.worker_name) for model in status.model_names}
        if asked.worker_name not in known:
            _log.info("fastchat.worker_joined", worker=asked.worker_name, models=", ".join(status.model_names))
        await self._look_again()
        return JSONResponse(None)

    async def _heartbeat(self, request: Request) -> Response:
        asked = await read(request, _HeartbeatRequest)
        known = self._roll.heartbeat(asked.worker_name, asked.queue_length, self._clock())
        return JSONResponse({"exist": known})

    async def _refresh(self, _: Request) -> Response:
        await self._look_again()
        return JSONResponse(None)

    def _models(self, multimodal: bool | None) -> Callable[[Request], Awaitable[Response]]:  # noqa: FBT001
        async def listed(_: Request) -> Response:
            return JSONResponse({"models": self._roll.models(multimodal=multimodal)})

        return listed

    async def _address(self, request: Request) -> Response:
        asked = await read(request, _ModelRequest)
        found = self._roll.address_of(asked.model)
        return JSONResponse({"address": found.name if found is not None else ""})

    async def _status(self, _: Request) -> Response:
        serving = [each for each in self._roll.entries if each.answers]
        return JSONResponse(
            {
                "model_names": self._roll.models(),
                "speed": sum(each.speed for each in serving),
                "queue_length": sum(each.queue_length for each in serving),
            }
        )

    async def _generate(self, request: Request) -> Response:
        """For who takes a controller for a worker: the answer of one of those that have the model."""
        body = await read_bytes(request)
        asked = decoded(msgspec.json.Decoder(_ModelRequest), body)
        found = self._roll.address_of(asked.model)
        if found is None:
            told = f"no FastChat worker has {asked.model!r}; there are {', '.join(self._roll.models()) or 'none'}"
            return Response(as_frame({"text": told, "error_code": _NO_WORKER}))
        return StreamingResponse(self._relayed(found.url, body))

    async def _relayed(self, url: str, body: bytes) -> AsyncIterator[bytes]:
        try:
            async with self._client.stream(
                "POST", f"{url}/worker_generate_stream", headers=_JSON, body=body, seconds=3600
            ) as answer:
                async for data in answer.chunks():
                    yield data
        except UpstreamError as error:
            yield as_frame({"text": str(error), "error_code": 50006})

    async def _test(self, _: Request) -> Response:
        return JSONResponse("success")

    async def _look_again(self) -> None:
        await self._probe_all()
        self._settle()
        self._news.set()


class _Fence:
    """Lets in peers of the networks that are allowed. A browser's page never: a page of anywhere can post to this
    machine, and browsers say so by `Origin`, which no process of FastChat sends."""

    def __init__(self, app: ASGIApp, allowed: Allowed) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            client = scope.get("client")
            self._allowed.check_peer(client[0] if client else "unknown")
            if any(name == b"origin" for name, _ in scope["headers"]):
                raise ForbiddenError("Pages may not call this listener.", code="wrong_origin")
        except RequestError as error:
            await _refusal(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _told(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RequestError as error:
            _log.warning("fastchat.refused", path=request.url.path, reason=str(error))
            return _refusal(error)

    return answer


def _refusal(error: RequestError) -> Response:
    return Response(error_body(error), error.status, media_type="application/json")


_JSON = {"content-type": "application/json", "user-agent": "argosy"}
