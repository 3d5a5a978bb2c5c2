"""What it is worth that requests go where their prompt's cache is: the policy `affinity` beside round_robin and
least_in_flight, with two llama.cpp replicas of one thread each behind one gateway.

Three kinds of work, each made anew for every turn, so that no cache holds anything of it before:

    conversations  six at once, four turns each, each over a system prompt of its own: where affinity is to win
    shared         one system prompt that everybody sends before a question of their own: where it must not lose
    unrelated      prompts that have nothing in common: where it must not lose either

A change of policy restarts nothing: all turns are in one run of the same replicas, the policies in turn. Then what the
memory of beginnings costs a request, in this process: the time of a lease under `affinity` less that of one under
least_in_flight.

    benchmarks/affinity.py
    benchmarks/affinity.py --cost                 # the last part alone, in seconds
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefill import WORDS
from processes import cpu_nanoseconds
from serving import MODEL, argosy

from argosy.config.environment import Environment
from argosy.dispatch.dispatcher import Dispatcher
from argosy.models.resolve import resolve
from argosy.protocol.admin import FleetTable
from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.endpoints import CHAT
from argosy.protocol.heartbeat import Heartbeat
from argosy.protocol.peek import peek
from argosy.protocol.replica import ReplicaState, ReplicaStatus
from argosy.registry.registry import Registry
from argosy.wire.client import Client

CONVERSATIONS, TURNS = 6, 4
THINK_SECONDS = 3.0  # at most, before a question
SYSTEM_WORDS = 1000  # about as many tokens
CLIENTS, REQUESTS = 6, 24  # of shared and unrelated work
SHARED_WORDS, UNRELATED_WORDS = 300, 120
ANSWER_TOKENS = 8
FLEET = """
name: affinity
gateway: {{port: 0}}
deployments:
  {model}:
    source: {path}
    replicas: 2
    policy: {policy}
    options: {{context: 2048, slots: 4, threads: 1, prompt_cache_mib: 0}}  # room for four, as with a large model
    timeouts: {{first_token: 600, total: 1200}}  # on a busy machine round_robin takes more than the usual minute
"""
WORK: Mapping[str, tuple[str, str]] = {  # what it is measured against, and affinity
    "conversations": ("round_robin", "affinity"),
    "shared": ("least_in_flight", "affinity"),
    "unrelated": ("least_in_flight", "affinity"),
}
LEASES, SLICES = 400, 31
COST_BYTES = {"short": 300, "4 KB": 4096, "40 KB": 40 * 1024}

Message = dict[str, str]


@dataclass(frozen=True)
class Answered:
    """One request, as its client saw it."""

    first_token: float  # seconds
    text: str
    tokens_read: int  # of the prompt, by the engine
    tokens_cached: int


@dataclass(frozen=True)
class Turn:
    """One kind of work under one policy."""

    seconds: float
    cpu_seconds: float  # of the busier engine: what `seconds` comes to where nothing else runs
    first_token: float  # the median
    first_tokens: Sequence[float]  # sorted
    tokens_read: int
    tokens_cached: int


class Door:
    def __init__(self, url: str, client: Client) -> None:
        self._url = f"{url}{CHAT}"
        self._client = client

    async def ask(self, messages: Sequence[Message]) -> Answered:
        body = {
            "model": MODEL,
            "messages": messages,
            "max_tokens": ANSWER_TOKENS,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
        }
        begun, first, text = time.perf_counter(), 0.0, b""
        headers = {"content-type": "application/json"}
        async with self._client.stream(
            "POST", self._url, headers=headers, body=json.dumps(body).encode(), seconds=600
        ) as answer:
            async for chunk in answer.chunks():
                first = first or time.perf_counter() - begun
                text += chunk
            if answer.status != 200:
                raise SystemExit(f"the door answered {answer.status}: {text[:300]!r}")
        events = [json.loads(line[6:]) for line in text.split(b"\n") if line.startswith(b"data: {")]
        said = "".join(each["choices"][0]["delta"].get("content") or "" for each in events if each["choices"])
        (timings,) = [each["timings"] for each in events if "timings" in each]
        return Answered(first, said, timings["prompt_n"], timings["cache_n"])


def words(draw: random.Random, count: int) -> str:
    return " ".join(draw.choices(WORDS, k=count))


async def conversations(door: Door, draw: random.Random) -> list[Answered]:
    async def talk(system: str, questions: Sequence[str], pauses: Sequence[float]) -> list[Answered]:
        messages, answers = [{"role": "system", "content": system}], list[Answered]()
        for question, seconds in zip(questions, pauses, strict=True):
            await asyncio.sleep(seconds)
            messages.append({"role": "user", "content": question})
            answers.append(await door.ask(messages))
            messages.append({"role": "assistant", "content": answers[-1].text})
        return answers

    made = [
        (
            words(draw, SYSTEM_WORDS),
            [words(draw, 12) for _ in range(TURNS)],
            # As people do. Without it an even number of conversations keeps step, and round_robin by that its replicas.
            [0.0, *(draw.uniform(0, THINK_SECONDS) for _ in range(TURNS - 1))],
        )
        for _ in range(CONVERSATIONS)
    ]
    return [each for talked in await asyncio.gather(*(talk(*one) for one in made)) for each in talked]


async def _by_clients(door: Door, requests: Sequence[Sequence[Message]]) -> list[Answered]:
    """Every client asks again as soon as it has its answer."""
    waiting, answers = list(requests), list[Answered]()

    async def client() -> None:
        while waiting:
            answers.append(await door.ask(waiting.pop()))

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return answers


async def shared(door: Door, draw: random.Random) -> list[Answered]:
    system = {"role": "system", "content": words(draw, SHARED_WORDS)}
    return await _by_clients(door, [[system, {"role": "user", "content": words(draw, 12)}] for _ in range(REQUESTS)])


async def unrelated(door: Door, draw: random.Random) -> list[Answered]:
    return await _by_clients(
        door, [[{"role": "user", "content": words(draw, UNRELATED_WORDS)}] for _ in range(REQUESTS)]
    )


async def turn(url: str, kind: str, draw: random.Random, engines: Sequence[int]) -> Turn:
    client = Client()
    work = {"conversations": conversations, "shared": shared, "unrelated": unrelated}[kind]
    before = [cpu_nanoseconds(pid) for pid in engines]
    begun = time.perf_counter()
    answers = await work(Door(url, client), draw)
    seconds = time.perf_counter() - begun
    spent = [cpu_nanoseconds(pid) - nanoseconds for pid, nanoseconds in zip(engines, before, strict=True)]
    await client.close()
    first_tokens = sorted(round(each.first_token, 2) for each in answers)
    return Turn(
        round(seconds, 2),
        round(max(spent) / 1e9, 2),
        statistics.median(first_tokens),
        first_tokens,
        sum(each.tokens_read for each in answers),
        sum(each.tokens_cached for each in answers),
    )


def measure(rounds: int, kinds: Sequence[str], seed: int) -> dict[str, dict[str, list[Turn]]]:
    environment = Environment.read(os.environ)
    model = resolve(
        MODEL, cache=environment.cache, progress=lambda _: None, cancelled=threading.Event(), variables=os.environ
    )
    draw = random.Random(seed)
    figures: dict[str, dict[str, list[Turn]]] = {kind: {policy: [] for policy in WORK[kind]} for kind in kinds}
    with tempfile.TemporaryDirectory(prefix="argosy-benchmark-") as name:
        file, home = Path(name) / "fleet.yaml", Path(name) / "home"
        try:
            for kind in kinds:
                for number in range(rounds):
                    for policy in WORK[kind][:: -1 if number % 2 else 1]:
                        file.write_text(FLEET.format(model=MODEL, path=model, policy=policy))
                        argosy(["up", "-d", str(file)], home)
                        report = json.loads(argosy(["ps", "--json"], home))
                        engines = [each["engine_pid"] for each in report["deployments"][0]["replicas"]]
                        done = asyncio.run(turn(report["gateways"][0]["address"], kind, draw, engines))
                        figures[kind][policy].append(done)
                        print(
                            f"{kind:14} {policy:16} {done.seconds:6.1f} s in all ({done.cpu_seconds:5.1f} s of CPU"
                            f" in the busier engine), first token {done.first_token:5.2f} s (p50),"
                            f" {done.tokens_read} tokens of prompts read, {done.tokens_cached} cached",
                            flush=True,
                        )
        finally:
            argosy(["down"], home)
    return figures


def told(kind: str, turns: Mapping[str, Sequence[Turn]]) -> str:
    other, ours = WORK[kind]
    seconds, cpu, first, read = (
        [statistics.mean(getattr(each, what) for each in turns[policy]) for policy in (other, ours)]
        for what in ("seconds", "cpu_seconds", "first_token", "tokens_read")
    )
    return (
        f"{kind}: {other} takes {seconds[0] / seconds[1]:.2f}x affinity's time ({cpu[0] / cpu[1]:.2f}x its CPU time);"
        f" affinity's first token (p50) "
        f"{first[1] / first[0] - 1:+.0%}, tokens read {read[1] / read[0] - 1:+.0%}"
    )


@dataclass(frozen=True)
class Request:
    body: bytes
    path: str = CHAT
    session: bytes = b""


def cost() -> dict[str, dict[str, float]]:
    """µs that a lease takes: under affinity less than under least_in_flight, by prompt and number of replicas."""
    gc.freeze()  # as a gateway does: app.py
    gc.set_threshold(20_000, 20, 20)
    found: dict[str, dict[str, float]] = {}
    for replicas in (1, 2, 8):
        for name, size in COST_BYTES.items():
            requests = _requests(size)
            leases = {policy: _leases(policy, replicas) for policy in ("least_in_flight", "affinity")}
            slices = {policy: list[float]() for policy in leases}
            for _ in range(SLICES):
                for policy, lease in leases.items():
                    taken = 0.0
                    for request in requests:
                        peek(CHAT, request.body)  # as in a gateway: it has just been read
                        begun = time.perf_counter()
                        lease(request)
                        taken += time.perf_counter() - begun
                    slices[policy].append(taken / len(requests) * 1e6)
            without, with_ = (min(slices[policy]) for policy in leases)
            found.setdefault(f"{replicas} replica(s)", {})[name] = round(with_ - without, 2)
            print(f"{replicas} replica(s), {name:6}: {without:5.2f} µs a lease, affinity {with_ - without:+6.2f}")
    return found


def _requests(size: int) -> list[Request]:
    """Half of them begin as another one does, up to somewhere."""
    draw = random.Random(size)
    texts = [words(draw, size // 4) for _ in range(LEASES // 2)]
    texts += [text[: draw.randrange(len(text))] + words(draw, size // 4) for text in texts]
    draw.shuffle(texts)
    bodies = [
        {"model": MODEL, "messages": [{"role": "user", "content": text[: size - 100]}], "max_tokens": 16}
        for text in texts
    ]
    return [Request(json.dumps(body).encode()) for body in bodies]


def _leases(policy: str, replicas: int) -> Callable[[Request], None]:
    """A dispatcher whose replicas are busy with two requests each."""
    registry = Registry()
    record = DeploymentRecord(name="m", revision=1, replicas=replicas, policy=policy)
    registry.apply_table(FleetTable(revision=1, deployments=[record]), 0)
    for index in range(replicas):
        status = ReplicaStatus(
            id=f"m.{index}", generation=1, epoch=1, state=ReplicaState.READY, since=0, concurrency=100
        )
        registry.apply_heartbeat(Heartbeat(seq=1, status=status, deployment=record), 0)
    dispatcher = Dispatcher(registry, clock=time.monotonic, draw=random.random)
    deployment = registry.deployments["m"]
    for replica in deployment.routable * 2:
        registry.acquire(replica)

    def lease(request: Request) -> None:
        got = dispatcher.lease_now(deployment, request)
        assert got is not None
        got.release()

    return lease


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="turns of each policy at each kind of work")
    parser.add_argument("--work", default=",".join(WORK), help="of which kinds, by commas")
    parser.add_argument("--seed", type=int, default=1, help="of the texts")
    parser.add_argument("--cost", action="store_true", help="measure what it costs a request, and nothing else")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    given = parser.parse_args()

    figures: dict[str, Any] = {"cost": cost()}
    if not given.cost:
        turns = measure(given.rounds, given.work.split(","), given.seed)
        figures |= {
            kind: {policy: [vars(each) for each in taken] for policy, taken in by_policy.items()}
            for kind, by_policy in turns.items()
        }
        for kind, by_policy in turns.items():
            print(told(kind, by_policy))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
