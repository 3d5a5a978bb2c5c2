"""What an engine of ours needs that runs in an environment without Argosy: the standard library alone, Python 3.9.

    python -I …/argosy/engines/standalone.py argosy.engines.transformers_server ARGUMENTS…

runs that module there. The name `argosy` leads to our files, but nothing else of Argosy's own Python can be imported:
its packages, built for another version, would break those of the environment.
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from pathlib import Path

KEY_VARIABLE = "ARGOSY_ENGINE_KEY"  # the environment variable that carries its key to an engine of ours


def write_address(file: Path, address: str) -> None:
    """Called in an engine's process once it listens: whole or not at all, since the worker reads it at any moment."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as written:
        written.write(address)
    temporary.replace(file)


def _main() -> None:
    package = Path(__file__).resolve().parent.parent
    spec = importlib.util.spec_from_file_location(
        "argosy", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None, "the file that runs lies in it"
    assert spec.loader is not None
    sys.modules["argosy"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
