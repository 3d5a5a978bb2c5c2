"""The real FastChat 0.2.36 beside Argosy: tokens/s of one model on one machine, in turns, in one run.

Both doors are asked as clients ask them: FastChat's API server with its controller and one worker behind it, on its
best setting for a CPU (bfloat16), and Argosy's with llama.cpp, which reads the file that FastChat's weights were made
from (four bits). One thread each. FastChat comes in an environment of its own in the cache, made at the first use
(2 GB). `make test-fastchat` ends with this.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving import FLEET, MODEL, Server, argosy, door_and_engine, measure

from argosy.config.environment import Environment
from argosy.models.resolve import resolve
from argosy.worker.probe import free_port

# What makes and starts the real FastChat is there already, for its tests.
TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "fastchat")]

from old import Old  # noqa: E402
from package import package  # noqa: E402


@contextlib.contextmanager
def fastchat(model: Path, folder: Path) -> Iterator[Server]:
    """Controller, worker and API server; gone at the end."""
    folder.mkdir()
    old = Old(package(model), folder)
    port, api = free_port(), free_port()
    controller = f"http://127.0.0.1:{port}"
    words = ["--host", "127.0.0.1", "--controller-address", controller]
    with (
        old.process("controller", "--host", "127.0.0.1", ready="/test_connection", port=port),
        old.worker(controller, MODEL),
        old.process("openai_api_server", *words, ready="/v1/models", port=api),
    ):
        yield Server("FastChat", f"http://127.0.0.1:{api}/v1", MODEL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="turns of each server at each number of clients")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    given = parser.parse_args()
    environment = Environment.read(os.environ)
    model = resolve(
        MODEL, cache=environment.cache, progress=lambda _: None, cancelled=threading.Event(), variables=os.environ
    )
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="argosy-benchmark-") as name:
        folder, home = Path(name), Path(name) / "home"
        file = folder / "fleet.yaml"
        file.write_text(FLEET.format(model=MODEL, path=model, threads=1))
        with fastchat(model, folder / "fastchat") as peer:
            argosy(["up", "-d", str(file)], home)
            try:
                measure([*door_and_engine(home), peer], given.rounds, figures)
            finally:
                argosy(["down"], home)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
