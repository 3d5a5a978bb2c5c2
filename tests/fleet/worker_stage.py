"""A real worker process, and gateways that only hear heartbeats."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from argosy.protocol import replica_log
from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.heartbeat import PATH, SIGNATURE_HEADER, Heartbeat, HeartbeatAnswer, sign, sign_answer
from argosy.protocol.replica import ReplicaSpec, ReplicaStatus
from argosy.state import FleetFolder, read_json, write_json

REPLICA = "fake.0"
_RUN = (
    "import os, sys; from pathlib import Path; from argosy.app.worker import run_worker; "
    "from argosy.config.environment import Environment; "
    "sys.exit(run_worker(Path(sys.argv[1]), Environment.read(os.environ)))"
)


@dataclass
class Gateway:
    """Hears heartbeats whose signature is right, and answers as it is told to."""

    join_token: str
    url: str = ""
    answer: HeartbeatAnswer = field(default_factory=HeartbeatAnswer)
    mute: bool = False
    forged: bool = False  # answers with another fleet's signature
    parts: list[replica_log.LogPart] = field(default_factory=list)
    heard: list[Heartbeat] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def hears(self, claim: Callable[[ReplicaStatus], bool], seconds: float = 10) -> ReplicaStatus:
        """The first status from now on (or the latest) of which the claim is true."""
        async with asyncio.timeout(seconds), self._news:
            while not (self.heard and claim(self.heard[-1].status)):
                await self._news.wait()
            return self.heard[-1].status

    async def endpoint(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get(SIGNATURE_HEADER) != sign(body, self.join_token):
            return Response(status_code=401)
        if self.mute:
            while (await request.receive())["type"] != "http.disconnect":
                pass
        heartbeat, said = msgspec.json.decode(body, type=Heartbeat), msgspec.json.encode(self.answer)
        async with self._news:
            self.heard.append(heartbeat)
            self._news.notify_all()
        token = "another" if self.forged else self.join_token
        return Response(said, headers={SIGNATURE_HEADER: sign_answer(said, heartbeat.seq, token)})

    async def part(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get(SIGNATURE_HEADER) != sign(body, self.join_token):
            return Response(status_code=401)
        async with self._news:
            self.parts.append(msgspec.json.decode(body, type=replica_log.LogPart))
            self._news.notify_all()
        return Response()

    async def receives(self, query: str, seconds: float = 10) -> replica_log.LogPart:
        """The first part of the log that answers that query."""
        async with asyncio.timeout(seconds), self._news:
            while not (found := [part for part in self.parts if part.query == query]):
                await self._news.wait()
            return found[0]


class QuietServer(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are pytest's


@asynccontextmanager
async def gateway(join_token: str) -> AsyncIterator[Gateway]:
    made, listener = Gateway(join_token), socket.socket()
    listener.bind(("127.0.0.1", 0))
    made.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = Starlette(
        routes=[
            Route(PATH, made.endpoint, methods=["POST"]),
            Route(replica_log.PATH, made.part, methods=["POST"]),
        ]
    )
    server = QuietServer(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield made
    finally:
        server.should_exit = server.force_exit = True
        await serving
        listener.close()


@dataclass
class Stage:
    """A fleet's folder with one worker in it."""

    folder: FleetFolder
    process: asyncio.subprocess.Process

    @property
    def status(self) -> ReplicaStatus:
        found = read_json(self.folder.replica(REPLICA).status, ReplicaStatus)
        assert found is not None
        return found

    @property
    def log(self) -> str:
        return self.folder.log(REPLICA).read_text()

    async def ends(self, seconds: float = 10) -> int:
        return await asyncio.wait_for(self.process.wait(), seconds)

    def kill(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)


@asynccontextmanager
async def worker(
    folder: FleetFolder, gateways: list[str], config: dict[str, Any], grace_seconds: float = 20
) -> AsyncIterator[Stage]:
    spec = ReplicaSpec(
        id=REPLICA,
        generation=1,
        deployment=DeploymentRecord(name="fake", revision=1),
        config=config,
        gateways=gateways,
        grace_seconds=grace_seconds,
    )
    write_json(folder.replica(REPLICA).spec, spec)
    folder.make_secret("join_token")
    log = folder.log(REPLICA)
    log.parent.mkdir(parents=True, exist_ok=True)
    variables = {"PATH": os.environ["PATH"], "ARGOSY_HOME": str(folder.root), "ARGOSY_CACHE": str(folder.root)}
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _RUN, folder.replica(REPLICA).spec,
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=variables, start_new_session=True,
        )  # fmt: skip
    stage = Stage(folder, process)
    try:
        yield stage
    finally:
        stage.kill()
        await process.wait()


def fleet_folder(root: Path) -> FleetFolder:
    return FleetFolder(root / "fleets" / "demo")
