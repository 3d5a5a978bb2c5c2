"""A real model behind the door: how soon it speaks, and how much of the engine's speed reaches clients.

From `argosy up` to the first token with a model that lies in the cache, beside the engine started alone; then tokens/s
at 1, 4 and 8 clients through the door and straight from the same engine, in turns. `--peer NAME=URL,MODEL` measures any
other server that speaks the OpenAI wire and runs already, in the same run: FastChat's, for one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argosy.config.environment import Environment
from argosy.config.schema import Deployment
from argosy.engines.base import EngineContext
from argosy.engines.catalog import engine
from argosy.models.resolve import resolve
from argosy.protocol.heartbeat import engine_key
from argosy.protocol.replica import ReplicaStatus
from argosy.state import Home, read_json
from argosy.wire.client import Client

MODEL = "smollm2"
CLIENTS = (1, 4, 8)
TOKENS = 64  # of every answer
SECONDS = 6.0  # of a turn
FLEET = """
name: serving
gateway: {{port: 0}}
deployments:
  {model}: {{source: "{path}", options: {{context: 512, slots: 8, threads: {threads}}}}}
"""
PROMPT = [{"role": "user", "content": "Tell me about the history of tea."}]


@dataclass(frozen=True)
class Server:
    """Something that serves the OpenAI wire."""

    name: str
    url: str  # up to /v1
    model: str
    key: str = "none"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}", "content-type": "application/json"}

    def chat(self, **fields: Any) -> tuple[str, bytes]:
        body = {"model": self.model, "messages": PROMPT, "max_tokens": TOKENS, "temperature": 0, **fields}
        return f"{self.url}/chat/completions", json.dumps(body).encode()


async def first_token(server: Server) -> None:
    """Returns once the first event of a stream is there."""
    client = Client()
    url, body = server.chat(stream=True)
    async with client.stream("POST", url, headers=server.headers, body=body, seconds=60) as answer:
        async for _ in answer.chunks():
            break
    await client.close()


async def tokens_per_second(server: Server, clients: int) -> float:
    """What all clients together get, each asking again as soon as it has its answer."""
    client = Client()
    begun = time.perf_counter()

    async def ask() -> int:
        tokens = 0
        while time.perf_counter() - begun < SECONDS:
            url, body = server.chat(ignore_eos=True)
            answer = await client.request("POST", url, headers=server.headers, body=body, seconds=120)
            if answer.status != 200:
                sys.exit(f"{server.name} answered {answer.status}: {answer.body[:300]!r}")
            tokens += json.loads(answer.body)["usage"]["completion_tokens"]
        return tokens

    tokens = sum(await asyncio.gather(*(ask() for _ in range(clients))))
    taken = time.perf_counter() - begun
    await client.close()
    return tokens / taken


def door_and_engine(home: Path) -> tuple[Server, Server]:
    """Two ways to the same engine."""
    folder = Home(home).fleet("serving")
    report = json.loads(argosy(["ps", "--json"], home))
    status = read_json(folder.replica(f"{MODEL}.0").status, ReplicaStatus)
    assert status is not None
    key = engine_key(folder.secret("join_token") or "", status.id, status.epoch)
    return (
        Server("through the door", f"{report['gateways'][0]['address']}/v1", MODEL),
        Server("straight from the engine", f"{status.address}/v1", MODEL, key),
    )


def argosy(command: list[str], home: Path) -> str:
    env = {**os.environ, "ARGOSY_HOME": str(home)}
    argv = [sys.executable, "-m", "argosy", *command]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"argosy {' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def up_to_first_token(file: Path, home: Path) -> float:
    """Seconds from typing `argosy up -d` to the first token of a chat."""
    before = time.perf_counter()
    argosy(["up", "-d", str(file)], home)
    asyncio.run(first_token(door_and_engine(home)[0]))
    return time.perf_counter() - before


def engine_alone(model: Path, folder: Path, threads: int) -> float:
    """Seconds from starting the engine's own process to its first token."""
    address = folder / "address"
    deployment = Deployment(source=str(model), options={"context": 512, "slots": 8, "threads": threads})
    context = EngineContext(MODEL, deployment, model, key="key", port=0, address_file=address)
    launch = engine("llama.cpp").launch(context)
    before = time.perf_counter()
    process = subprocess.Popen(
        launch.argv, env={**os.environ, **launch.env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not address.exists():
            if process.poll() is not None:
                sys.exit(f"the engine alone ended with {process.returncode}")
            time.sleep(0.005)
        asyncio.run(first_token(Server("alone", f"{address.read_text().strip()}/v1", MODEL, "key")))
        return time.perf_counter() - before
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=URL,MODEL", help="a server that runs already"
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server at each number of clients")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    given = parser.parse_args()

    environment = Environment.read(os.environ)
    model = resolve(
        MODEL, cache=environment.cache, progress=lambda _: None, cancelled=threading.Event(), variables=os.environ
    )
    threads = max(1, (os.cpu_count() or 2) // 2)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="argosy-benchmark-") as name:
        folder, home = Path(name), Path(name) / "home"
        file = folder / "fleet.yaml"
        file.write_text(FLEET.format(model=MODEL, path=model, threads=threads))
        starts: dict[str, list[float]] = {"alone": [], "up": []}
        for _ in range(given.rounds):
            starts["alone"].append(engine_alone(model, folder, threads))
            (folder / "address").unlink()
            starts["up"].append(up_to_first_token(file, home))
            argosy(["down"], home)
        figures["engine_alone_seconds"], figures["up_seconds"] = map(statistics.median, starts.values())
        print(
            f"first token: argosy up {figures['up_seconds']:.2f} s,"
            f" the engine alone {figures['engine_alone_seconds']:.2f} s ({MODEL}, from the cache)\n",
            flush=True,
        )
        argosy(["up", "-d", str(file)], home)
        try:
            servers = [*door_and_engine(home), *map(_peer, given.peer)]
            measure(servers, given.rounds, figures)
        finally:
            argosy(["down"], home)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(servers: list[Server], rounds: int, figures: dict[str, Any]) -> None:
    """Tokens/s of each server, in turns; prints them, and what share of the engine's own the door hands out."""
    for server in servers:
        asyncio.run(first_token(server))
    for clients in CLIENTS:
        seen: dict[str, list[float]] = {server.name: [] for server in servers}
        for turn in range(rounds):
            for server in servers if turn % 2 else servers[::-1]:
                seen[server.name].append(asyncio.run(tokens_per_second(server, clients)))
        medians = {name: statistics.median(taken) for name, taken in seen.items()}
        door, bare, *peers = medians.values()
        share = statistics.median(a / b for a, b in zip(*list(seen.values())[:2], strict=True))
        figures[f"{clients} clients"] = {**medians, "share": share}
        print(f"{clients} clients, tokens/s: door {door:.1f}, engine {bare:.1f}: {share:.3f} of it", end="")
        for name, peer in zip(list(medians)[2:], peers, strict=True):
            print(f"; {name} {peer:.1f} ({door / peer:.1f}× that)", end="")
        print(flush=True)


def _peer(text: str) -> Server:
    name, _, rest = text.partition("=")
    url, _, model = rest.rpartition(",")
    if not (name and url and model):
        sys.exit(f"--peer {text}: write NAME=URL,MODEL")
    return Server(name, url.rstrip("/"), model)


if __name__ == "__main__":
    main()
