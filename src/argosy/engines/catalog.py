"""The table of engines: name → where it is described. A new engine is one file and one row here."""

from __future__ import annotations

import importlib

from argosy.engines.base import Engine

_ROWS: dict[str, str] = {
    "llama.cpp": "argosy.engines.llamacpp:ENGINE",
    "vllm": "argosy.engines.vllm:ENGINE",
    "transformers": "argosy.engines.transformers:ENGINE",
    "sglang": "argosy.engines.sglang:ENGINE",
    "command": "argosy.engines.command:ENGINE",
    "echo": "argosy.engines.echo:ENGINE",
}
NAMES = (*_ROWS, "remote")  # a remote is a URL: the gateway serves it without a worker


def engine(name: str) -> Engine:
    """The engine of that name. Raises KeyError for a name that is not in NAMES or runs nothing (remote)."""
    module, attribute = _ROWS[name].split(":")
    found: Engine = getattr(importlib.import_module(module), attribute)
    return found
