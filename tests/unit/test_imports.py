"""Who may import whom, and that importing is light. The table below is the drawing in ARCHITECTURE.md."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"

# Anybody may import a leaf; a leaf imports only leaves.
LEAVES = {
    *("errors", "state", "disk", "processes", "protocol", "tasks", "wire", "telemetry"),
    *("config.engine_name", "config.gpus", "config.misfits", "config.recipe", "config.schema", "config.values"),
    "engines.memory",
}

# A room → the rooms that it may import, besides the leaves and itself.
ARROWS = {
    "models": set[str](),
    "engines": set[str](),
    "config": {"engines", "models"},
    "registry": set[str](),
    "arena": set[str](),
    "dispatch": {"registry"},
    "web": set[str](),
    "gateway": {"dispatch", "registry", "config", "arena", "web"},
    "devices": {"config", "engines"},
    "fleet": {"config", "devices"},
    "environments": set[str](),
    "worker": {"engines", "models", "environments", "config", "devices"},
    "fastchat": {"worker", "config"},
    "chat": set[str](),
    "app": {
        "devices",
        "gateway",
        "fleet",
        "worker",
        "fastchat",
        "dispatch",
        "registry",
        "config",
        "engines",
        "models",
        "arena",
    },
    "doctor": {"config", "devices", "engines", "fleet", "gateway", "models"},
    "cli": {"app", "chat", "devices", "doctor", "fleet", "config", "engines", "models", "environments"},
    "__main__": {"cli"},
}

HEAVY = {
    "huggingface_hub",
    "modelscope_hub",
    "numpy",
    "opentelemetry",
    "prometheus_client",
    "prompt_toolkit",
    "torch",
    "vllm",
    "xllamacpp",
    "ray",
    "rich",
    "sqlalchemy",
    "transformers",
}


def room_of(module: str) -> str:
    """argosy.config.schema → config.schema (a leaf inside a room), argosy.gateway.app → gateway"""
    parts = module.split(".")[1:]
    whole = ".".join(parts[:2])
    return whole if whole in LEAVES else (parts or ["argosy"])[0]


def imports_of(file: Path) -> Iterator[str]:
    """Every argosy module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "argosy")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively: write argosy.…"
            if node.module and node.module.split(".")[0] == "argosy":
                for alias in node.names:
                    inner = SRC.joinpath(*node.module.split("."), alias.name)
                    is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                    yield f"{node.module}.{alias.name}" if is_module else node.module


def test_every_import_follows_an_arrow() -> None:
    wrong = []
    for file in sorted((SRC / "argosy").rglob("*.py")):
        module = ".".join(file.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")
        room = room_of(module)
        for imported in imports_of(file):
            other = room_of(imported)
            if other in LEAVES or other in {room, "argosy"} or other in ARROWS.get(room, set()):
                continue
            wrong.append(f"{module} imports {imported}: no arrow from {room} to {other}")
    assert wrong == []


def test_the_arrows_name_every_room() -> None:
    rooms = {entry.stem for entry in (SRC / "argosy").iterdir() if entry.suffix == ".py" or any(entry.glob("*.py"))}
    assert rooms - {"__init__"} <= {room.split(".")[0] for room in LEAVES | set(ARROWS)}


@pytest.mark.parametrize("module", ["argosy.cli", "argosy.gateway", "argosy.app.gateway", "argosy.config.load"])
def test_importing_pulls_in_nothing_heavy(module: str) -> None:
    program = f"import {module}, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert HEAVY & set(run.stdout.split()) == set()


def test_help_reads_no_fleet_file_library() -> None:
    """`argosy --help` stays quick: what only some commands need is imported inside them."""
    run = subprocess.run(
        [sys.executable, "-c", "import argosy.cli, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"pydantic", "yaml", "starlette", "uvicorn", "psutil"} & set(run.stdout.split()) == set()
