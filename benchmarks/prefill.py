"""What reading a prompt in small steps costs llama.cpp on a CPU: why engines/llamacpp.py sets a batch of its own.

One process for each batch reads the same prompt with one thread. CPU seconds, since others share this machine. Between
two steps a request whose client has left can end, and other requests get their next token.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from argosy.config.environment import Environment
from argosy.models.resolve import resolve

BATCHES = (16, 32, 64, 128, 512, 2048)
WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "while",
    "seven",
    "dogs",
    "ran",
    "home",
    "over",
    "hills",
    "and",
    "far",
    "away",
]


def read(model: str, batch: int, tokens: int) -> dict[str, Any]:
    """In this process: the prompt's tokens and the CPU seconds of reading them."""
    import xllamacpp  # noqa: PLC0415

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames, params.port, params.n_parallel, params.n_ctx = ["127.0.0.1"], 0, 1, 2 * tokens
    params.n_batch, params.n_ubatch = batch, min(batch, 512)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_ram_mib, params.ui = 0, False
    server = xllamacpp.Server(params)

    def ask(prompt: str) -> int:
        body = json.dumps({"prompt": prompt, "max_tokens": 1, "cache_prompt": False}).encode()
        request = urllib.request.Request(f"{server.listening_address}/v1/completions", body)
        with urllib.request.urlopen(request) as answer:
            return int(json.load(answer)["usage"]["prompt_tokens"])

    ask("hi")
    draw = random.Random(1)
    prompt = " ".join(draw.choices(WORDS, k=tokens))
    begun = time.process_time()
    found = ask(prompt)
    return {"batch": batch, "tokens": found, "cpu_seconds": time.process_time() - begun}


def measured(model: str, batch: int, tokens: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="argosy-benchmark-") as folder:
        out = Path(folder, "out.json")
        argv = [sys.executable, __file__, model, "--tokens", str(tokens), "--batch", str(batch), "--json", str(out)]
        subprocess.run(argv, check=True, env={**os.environ, "OMP_WAIT_POLICY": "passive"}, stderr=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads(out.read_text())
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2", help="a GGUF file, or any other source")
    parser.add_argument("--tokens", type=int, default=2000, help="of the prompt, about")
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    given = parser.parse_args()
    if given.batch:
        given.json.write_text(json.dumps(read(given.model, given.batch, given.tokens)))
        os._exit(0)  # the server's threads have no end of their own
    environment = Environment.read(os.environ)
    model = resolve(
        given.model,
        cache=environment.cache,
        progress=lambda _: None,
        cancelled=threading.Event(),
        variables=environment.variables,
    )
    found = [measured(str(model), batch, given.tokens) for batch in BATCHES]
    whole = found[-1]["cpu_seconds"]
    print("| tokens in a step | CPU s for the prompt | times the largest | CPU s for a step |")
    print("|---|---|---|---|")
    for each in found:
        seconds = each["cpu_seconds"]
        step = seconds * min(1.0, each["batch"] / each["tokens"])
        print(f"| {each['batch']} | {seconds:.2f} | {seconds / whole:.2f} | {step:.2f} |")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
