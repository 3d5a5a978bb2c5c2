"""A real gateway process with engines in front of it, and what must hold of it whatever anybody sends.

The engines are an echo process, `good`, and fake ones in this process that play a case's bytes, each with the ways of
another engine: their event loop has a thread of its own, as clients here are plain sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Self, TypeVar

import msgspec
import psutil
from case import Case, data
from heard import Heard, heard

from argosy.engines.base import KEY_VARIABLE
from argosy.protocol import heartbeat as beat
from argosy.protocol.deployment import DeploymentRecord, Timeouts
from argosy.protocol.endpoints import CHAT
from argosy.protocol.traits import EngineTraits
from argosy.wire.client import Client
from argosy.wire.patience import IDLE_SECONDS
from command import Argosy
from engines import FakeEngine, Stage, vectors_or_chat
from voices import WorkerVoice
from waiting import until

T = TypeVar("T")
CLIENT_KEY, ADMIN_KEY, JOIN_TOKEN = "the-client-key", "the-admin-key", "the-join-token"
LIMITS = Timeouts(connect=1, queue=0.5, first_token=0.3, idle=0.3, total=0.8)
ANSWER_SECONDS = 5.0  # queue, then total, and time to notice, on a busy machine
SCRIPTED: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "apart": {  # as llama.cpp is
        "traits": EngineTraits(tells_usage=True, tells_progress=True, cancels_plain=False, counts_apart=True)
    },
    "loose": {"traits": EngineTraits(loose_ends=True)},
    "renamed": {"upstream_model": "another"},
    "single": {"concurrency": 1},
    "parted": {"traits": EngineTraits(most_inputs=1)},
}
FAULTS = re.compile(r"Traceback|fault in Argosy|Fatal error|Exception in callback|never retrieved|never awaited")


class LiveDoor:
    """`with LiveDoor(argosy) as door`. `locked`: it wants a client key, and nobody joins it."""

    def __init__(self, argosy: Argosy, *, locked: bool = False) -> None:
        self._argosy = argosy
        self._locked = locked
        self._stack = ExitStack()
        self.loop = asyncio.new_event_loop()
        self._log_read = 0
        self._asked_at = time.monotonic()
        self.engines: dict[str, FakeEngine] = {}
        self._voices: list[WorkerVoice] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            secrets = {"ARGOSY_ADMIN_KEY": ADMIN_KEY, "ARGOSY_JOIN_TOKEN": JOIN_TOKEN}
            if self._locked:
                secrets["ARGOSY_API_KEY"] = CLIENT_KEY
            self._argosy.variables = secrets
            self._argosy.file("gateway: {port: 0, max_body_mib: 1}\narena: {}\n")
            process = stack.enter_context(self._argosy.attached("gateway", "fleet.yaml"))
            self.process = psutil.Process(process.pid)
            told = until(lambda: re.search(r"gateway: http://127\.0\.0\.1:(\d+)/v1", self._argosy.output("gateway")))
            self.port = int(told[1])
            self.url = f"http://127.0.0.1:{self.port}"
            thread = threading.Thread(target=self.loop.run_forever)
            thread.start()
            stack.callback(self.loop.close)
            stack.callback(thread.join)
            stack.callback(self.loop.call_soon_threadsafe, self.loop.stop)
            self._watch = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            stack.callback(self._watch.close)
            if not self._locked:
                self._join(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, work: Coroutine[Any, Any, T], seconds: float = 60) -> T:
        """On the engines' event loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    # what is played

    def play(self, case: Case) -> list[Heard]:
        """Plays a case and checks all that must hold after it. Returns the answers."""
        if case.engine is not None:
            for engine in self.engines.values():
                engine.plays = deque([_Script(case)] * 8)
        answers = self._converse(case)
        self.settle()
        for engine in self.engines.values():
            engine.plays.clear()
        for answer in answers:
            check_answer(answer, case)
        self.still_serves()
        if case.status:
            assert answers and answers[0].status == case.status, answers
        return answers

    @contextlib.contextmanager
    def unread(self, case: Case) -> Iterator[None]:
        """A client that has sent its bytes and reads nothing."""
        for engine in self.engines.values():
            engine.plays = deque([_Script(case)])
        before = self._asked()
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for piece in case.client:
                sock.sendall(data(piece))
            until(lambda: self._asked() > before, what="its engine has it", every=0.002)
            yield

    def _asked(self) -> int:
        return sum(len(engine.asked) for engine in self.engines.values())

    def _converse(self, case: Case) -> list[Heard]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            got, closed = b"", False
            try:
                for number, piece in enumerate(case.client):
                    if number:
                        self.turn()  # so that the gateway has read the piece before
                    sock.sendall(data(piece))
                if case.ending == "half":
                    sock.shutdown(socket.SHUT_WR)
                got, closed = self._listen(sock, case)
            except OSError as error:  # it wants no more of it: what had come before is lost with the connection
                assert error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN), error
                closed = True
            if case.ending == "reset":
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if case.ending in ("close", "reset") and not case.leaves_after:
            return []
        answers = heard(got, closed=closed)
        if case.ending == "wait":
            whole = [answer for answer in answers if answer.whole]
            assert closed or len(whole) >= case.answers, f"{len(whole)} answers of {case.answers}, and no end: {got!r}"
            assert closed or len(whole) == len(answers), f"an answer without an end: {got[-300:]!r}"
        return answers

    def _listen(self, sock: socket.socket, case: Case) -> tuple[bytes, bool]:
        """What comes, up to the answers that must, or to where the client leaves; and whether the connection ended."""
        if case.ending in ("close", "reset") and not case.leaves_after:
            return b"", False
        got, deadline = b"", time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            if case.leaves_after and len(got) >= case.leaves_after:
                return got, False
            if case.answers and self._whole(got) >= case.answers:
                return got, False
            sock.settimeout(deadline - time.monotonic() if case.answers else 0.02)
            try:
                more = sock.recv(1 << 20)
            except TimeoutError:
                if not case.answers and self.in_flight() == 0 and not self._more(sock):
                    return got, False  # nothing of it runs, so nothing comes any more
                continue
            if not more:
                return got, True
            got += more
        return got, False

    def _more(self, sock: socket.socket) -> bool:
        self.turn()
        sock.settimeout(0.01)
        try:
            sock.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return False
        return True

    @staticmethod
    def _whole(got: bytes) -> int:
        return sum(answer.whole for answer in heard(got, closed=False)) if got else 0

    # what must hold

    def settle(self) -> None:
        """Every lease is given back, and nobody waits in line."""
        until(lambda: self.in_flight() == 0, seconds=ANSWER_SECONDS, what="no lease is held", every=0.005)

    def in_flight(self) -> int:
        status, body = self.ask("GET", "/argosy/v1/replicas", headers={"authorization": f"Bearer {ADMIN_KEY}"})
        assert status == 200, body
        return sum(replica["in_flight"] for replica in json.loads(body))

    def still_serves(self) -> None:
        """Whatever came before: an ordinary request is served, and the log tells of no fault of ours."""
        if self._locked:
            assert self.ask("GET", "/health")[0] == 200
        else:
            chat = {"model": "good", "messages": [{"role": "user", "content": "still here"}]}
            status, body = self.ask("POST", CHAT, json.dumps(chat).encode())
            assert status == 200, body
            assert json.loads(body)["choices"][0]["message"]["content"] == "still here"
        self.check_log()

    def check_log(self) -> None:
        log = self._argosy.folder / "gateway.out"
        with log.open("rb") as file:
            file.seek(self._log_read)
            new = file.read()
        self._log_read += len(new)
        if FAULTS.search(new.decode(errors="replace")):
            raise AssertionError(f"the gateway's log tells of a fault:\n{new.decode(errors='replace')[-4000:]}")

    def turn(self) -> None:
        """One turn of the gateway's loop: what was sent before has been read."""
        assert self.ask("GET", "/health")[0] == 200

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """On a connection of our own that is kept, but not for as long as the door keeps an idle one."""
        now = time.monotonic()
        if now - self._asked_at > IDLE_SECONDS / 2:
            self._watch.close()  # the next request opens it again
        self._asked_at = now
        self._watch.request(method, path, body, headers or {})
        answer = self._watch.getresponse()
        return answer.status, answer.read()

    def waiting(self) -> float:
        """Requests in line, by the gateway's own metrics."""
        status, body = self.ask("GET", "/metrics", headers={"authorization": f"Bearer {ADMIN_KEY}"})
        assert status == 200
        return sum(float(value) for value in re.findall(r"^argosy_\w*waiting\S* (\S+)$", body.decode(), re.M))

    def memory_mib(self) -> float:
        """PSS of the gateway's process."""
        return float(self.process.memory_full_info().pss) / (1 << 20)

    def open_clients(self) -> int:
        """Connections that clients have to it; those that it keeps to engines are its own affair."""
        known = self.process.net_connections("tcp")
        return sum(each.laddr.port == self.port and each.status != psutil.CONN_LISTEN for each in known)

    # the engines

    def _join(self, stack: ExitStack) -> None:
        echo_file = self._argosy.folder / "echo.address"
        argv = [sys.executable, "-m", "argosy.engines.echo_server", "--name", "good"]
        key = beat.engine_key(JOIN_TOKEN, "good.0", 1)
        echo = subprocess.Popen(
            [*argv, "--address-file", str(echo_file), "--options", '{"slots": 100}'],
            env={**os.environ, KEY_VARIABLE: key},
        )
        stack.callback(echo.wait)
        stack.callback(echo.kill)
        address = until(lambda: echo_file.exists() and echo_file.read_text().strip())
        self._speak_for("good", address)
        for name, ways in SCRIPTED.items():
            engine = self.engines[name] = FakeEngine(name=name, otherwise=vectors_or_chat)
            self.run(engine.start())
            stack.callback(lambda engine=engine: self.run(engine.die()))
            self._speak_for(name, engine.address, **ways)
        talking = self.run(self._talk())
        stack.callback(lambda: self.run(_ended(talking)))
        until(lambda: self.ask("GET", "/ready")[0] == 200 and self.in_flight() == 0, what="all have joined")
        until(lambda: len(json.loads(self.ask("GET", "/v1/models")[1])["data"]) == 1 + len(SCRIPTED))

    def _speak_for(self, name: str, address: str, **ways: Any) -> None:
        record = DeploymentRecord(name=name, revision=1, timeouts=LIMITS)
        self._voices.append(WorkerVoice(f"{name}.0", record, address=address, **{"concurrency": 100, **ways}))

    async def _talk(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._heartbeats())

    async def _heartbeats(self) -> None:
        """Of all replicas, until cancelled."""
        client = Client()
        try:
            while True:
                for voice in self._voices:
                    voice.seq = time.time_ns()
                    body = msgspec.json.encode(voice.beat())
                    headers = {beat.SIGNATURE_HEADER: beat.sign(body, JOIN_TOKEN)}
                    answer = await client.request("POST", self.url + beat.PATH, headers=headers, body=body, seconds=5)
                    assert answer.status == 200, answer.body
                await asyncio.sleep(beat.INTERVAL_SECONDS)
        finally:
            await client.close()


async def _ended(task: asyncio.Task[None]) -> None:
    """Raises what it ended by, if it was not this."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


class _Script:
    """What a case has its engine do."""

    def __init__(self, case: Case) -> None:
        self._case = case

    async def __call__(self, stage: Stage) -> None:
        for piece in self._case.engine or ():
            for part in _parts(data(piece)):
                await stage.send(part)
            await asyncio.sleep(0)
        if self._case.engine_ending == "reset":
            stage.reset()
        elif self._case.engine_ending == "silent":
            await stage.left()
        stage.keep = self._case.engine_ending == "keep"


def _parts(whole: bytes) -> Iterator[bytes]:
    for at in range(0, len(whole), 1 << 16):
        yield whole[at : at + (1 << 16)]


def check_answer(answer: Heard, case: Case) -> None:
    """No failure of our own making, every refusal in an envelope and with an id."""
    told = f"{answer.status} {answer.body[:300]!r}"
    assert answer.header("x-request-id"), f"no x-request-id: {told}"
    if answer.status < 400:
        return
    if answer.status >= 500:
        said = b"".join(data(piece)[:100_000] for piece in case.engine or ())
        own_words = b'"error"' in said or b" 5" in said[:13]  # the engine's, passed on
        assert own_words or (answer.status in (502, 503, 504) and case.engine is not None), f"a 5xx of ours: {told}"
    if not answer.whole:
        return
    assert (answer.header("content-type") or "").startswith("application/json"), told
    error = answer.json.get("error") if isinstance(answer.json, dict) else None
    assert isinstance(error, dict) and isinstance(error.get("message"), str), f"not in an envelope: {told}"
