"""One fleet for all clients: a small model that knows tools, the same as it calls them unasked, one for embeddings."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.config.environment import Environment
from argosy.models.resolve import resolve
from argosy.processes.identity import ProcessIdentity
from argosy.state import write_json
from command import Argosy

TEMPLATE = Path(__file__).with_name("calls.jinja")
FLEET = """
gateway: {{port: 0}}
deployments:
  qwen: {{source: {qwen}, options: {{context: 8192, slots: 2, threads: 1}}}}
  caller: {{source: {qwen}, chat_template: {template}, options: {{context: 4096, slots: 1, threads: 1}}}}
  embedder: {{source: {embedder}, task: embed, options: {{threads: 1}}}}
"""


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL. The models are fetched once (491 and 98 MB) where ARGOSY_TEST_MODELS does not have them."""
    given = os.environ.get("ARGOSY_TEST_MODELS")
    cache = Path(given) if given else Environment.read(os.environ).cache
    qwen, embedder = (
        resolve(model, cache=cache, progress=lambda _: None, cancelled=threading.Event(), variables=os.environ)
        for model in ("qwen2.5-coder:0.5b", "smollm2")
    )
    folder = tmp_path_factory.mktemp("clients")
    argosy = Argosy(folder / "home", folder)
    write_json(argosy.fleet().owner, ProcessIdentity.own())  # a run that is killed leaves no models behind
    try:
        argosy.run("up", "-d", argosy.file(FLEET.format(qwen=qwen, embedder=embedder, template=TEMPLATE)))
        yield argosy.ps()["gateways"][0]["address"] + "/v1"
    finally:
        argosy.run("down", "--now")
        argosy.end()
