"""One fleet for all clients: a small model that knows tools, the same as it calls them unasked, one for embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.processes.identity import ProcessIdentity
from argosy.state import write_json
from command import Argosy
from real_models import weights

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
    qwen, embedder = weights("qwen2.5-coder:0.5b"), weights("smollm2")
    folder = tmp_path_factory.mktemp("clients")
    argosy = Argosy(folder / "home", folder)
    write_json(argosy.fleet().owner, ProcessIdentity.own())  # a run that is killed leaves no models behind
    try:
        argosy.run("up", "-d", argosy.file(FLEET.format(qwen=qwen, embedder=embedder, template=TEMPLATE)))
        yield argosy.ps()["gateways"][0]["address"] + "/v1"
    finally:
        argosy.run("down", "--now")
        argosy.end()
