"""How long a slot of llama.cpp stays taken once its client has left, through the door: while the prompt is read, and in
mid-answer. The client leaves at a moment by chance; a slot is free when the engine's own /slots says so.

    benchmarks/leaving.py                         # smollm2, one thread and two
    benchmarks/leaving.py MODEL --threads 2 --batch 64
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import threading
import time
from pathlib import Path

from affinity import words
from serving import MODEL, Server, argosy, door_and_engine

from argosy.config.environment import Environment
from argosy.models.resolve import resolve
from argosy.wire.client import Client

FLEET = """
name: serving
gateway: {{port: 0}}
deployments:
  {model}:
    source: {path}
    options: {{context: 4096, slots: 2, threads: {threads}, prompt_cache_mib: 0{batch}}}
    timeouts: {{first_token: 600, total: 1200}}
"""
PROMPT_WORDS = {"while the prompt is read": 3000, "in mid-answer": 10}
READS_SECONDS = 2.0  # at most, before the client leaves


class Watched:
    """A door, and the engine behind it, asked straight."""

    def __init__(self, door: Server, engine: Server, client: Client) -> None:
        self._door, self._client = door, client
        self._slots = f"{engine.url.removesuffix('/v1')}/slots"
        self._key = {"authorization": f"Bearer {engine.key}"}

    async def _until(self, *, taken: bool) -> None:
        now = not taken
        while now != taken:  # every question is a turn of the loop
            answer = await self._client.request("GET", self._slots, headers=self._key, seconds=30)
            now = any(slot["is_processing"] for slot in json.loads(answer.body))

    async def leave(self, draw: random.Random, prompt_words: int) -> float:
        """Seconds until the slot was free."""
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": words(draw, prompt_words)}],
            "max_tokens": 3000,
            "ignore_eos": True,
            "stream": True,
        }
        asking = asyncio.create_task(self._ask(json.dumps(body).encode()))
        await self._until(taken=True)
        await asyncio.sleep(draw.uniform(0.2, READS_SECONDS))
        asking.cancel()
        left = time.perf_counter()
        await self._until(taken=False)
        return time.perf_counter() - left

    async def _ask(self, body: bytes) -> None:
        headers = {"content-type": "application/json"}
        url = f"{self._door.url}/chat/completions"
        async with self._client.stream("POST", url, headers=headers, body=body, seconds=600) as answer:
            async for _ in answer.chunks():
                pass


async def measured(home: Path, times: int, draw: random.Random) -> dict[str, list[float]]:
    client = Client()
    watched = Watched(*door_and_engine(home), client)
    found = {
        when: sorted([round(await watched.leave(draw, count), 2) for _ in range(times)])
        for when, count in PROMPT_WORDS.items()
    }
    await client.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=MODEL, help="a GGUF file, or any other source")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--batch", type=int, help="tokens in a step, instead of the default")
    parser.add_argument("--times", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    given = parser.parse_args()
    environment = Environment.read(os.environ)
    path = resolve(
        given.model, cache=environment.cache, progress=lambda _: None, cancelled=threading.Event(), variables=os.environ
    )
    figures: dict[int, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="argosy-benchmark-") as name:
        file, home = Path(name) / "fleet.yaml", Path(name) / "home"
        batch = f", batch: {given.batch}" if given.batch else ""
        for threads in given.threads:
            file.write_text(FLEET.format(model=MODEL, path=path, threads=threads, batch=batch))
            try:
                argosy(["up", "-d", str(file)], home)
                figures[threads] = asyncio.run(measured(home, given.times, random.Random(given.seed)))
            finally:
                argosy(["down"], home)
            for when, found in figures[threads].items():
                print(
                    f"{given.model}, {threads} thread(s), left {when}: free after {statistics.median(found):.2f} s"
                    f" (median), {found[0]:.2f} to {found[-1]:.2f}",
                    flush=True,
                )
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
