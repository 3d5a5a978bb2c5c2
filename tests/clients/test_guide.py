"""Every snippet of docs/guide/clients.md and every client's example does what it says, with a real model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pages import ROOT, Block, Page

BLOCKS = {
    block.rest: block for block in Page.read(ROOT / "docs" / "guide" / "clients.md").blocks() if block.kind == "client"
}
NODE_PACKAGES = Path(sys.prefix) / "node_modules"  # `make test-clients` puts them there
PYTHON = [name for name in BLOCKS if name.endswith(".py")]


def run(argv: list[str], folder: Path, door: str, **variables: str) -> str:
    env = {**os.environ, "ARGOSY_URL": door, "ARGOSY_MODEL": "qwen", "ARGOSY_EMBEDDER": "embedder", **variables}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip(), done.stderr
    return done.stdout


def here(block: Block, door: str) -> str:
    return block.text.replace("http://127.0.0.1:8000", door.removesuffix("/v1"))


@pytest.mark.parametrize("name", PYTHON)
def test_a_snippet_of_python_answers(name: str, door: str, tmp_path: Path) -> None:
    # Not by the client's own name: it would import itself.
    (tmp_path / f"snippet_{name}").write_text(here(BLOCKS[name], door))
    said = run([sys.executable, f"snippet_{name}"], tmp_path, door)
    assert name not in ("langchain.py", "instructor.py") or "Paris" in said


@pytest.mark.parametrize("name", ["langchain_chat.py", "autogen_agent.py", "chat.py"])
def test_an_example_answers(name: str, door: str, tmp_path: Path) -> None:
    said = run([sys.executable, str(ROOT / "examples" / name)], tmp_path, door)
    assert name != "langchain_chat.py" or ("GetWeather {'city': 'Paris'}" in said and "576 numbers" in said)


@pytest.mark.parametrize("name", ["the snippet", "examples/openai_node.mjs", "tests/clients/openai_node_cases.mjs"])
def test_node_answers(name: str, door: str, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(NODE_PACKAGES)
    program = here(BLOCKS["openai.mjs"], door) if name == "the snippet" else (ROOT / name).read_text()
    (tmp_path / "client.mjs").write_text(program)
    run(["node", "client.mjs"], tmp_path, door)


def test_llm_answers_by_its_file_of_models(door: str, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(here(BLOCKS["extra-openai-models.yaml"], door))
    prompt, schema = BLOCKS["llm"].commands()
    for command, check in ((prompt, str), (schema, json.loads)):
        assert check(run(["sh", "-c", command.line], tmp_path, door, LLM_USER_PATH=str(tmp_path)))
