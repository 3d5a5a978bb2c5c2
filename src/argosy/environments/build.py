"""Builds an environment: by uv where it is installed, else by venv and pip. Their set-up, mirrors and proxies hold.

Each step is a program on a leash: it ends with who asked for it, and at once when that is cancelled.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from argosy.config.recipe import EnvironmentRecipe
from argosy.disk import POLL_SECONDS
from argosy.environments.cache import Built, EnvironmentCache, Report, python_version
from argosy.environments.pythons import find_python
from argosy.errors import BuildError
from argosy.processes.leash import leashed, on_a_leash

_LAST_LINES = 6
_LONGEST_LINE = 70
_NO_NEWS = (
    *("$ ", "WARNING: ", "[notice]", "Looking in "),
    *("Attempting uninstall", "Found existing installation", "Uninstalling ", "Successfully uninstalled"),
)
# Of this process's own environment: they would lead a foreign Python to our packages.
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
# By their words pip and uv tell that the network is at fault, which another day may mend.
_UNREACHABLE = re.compile(
    r"connection broken|failed to (?:fetch|establish)|dns error|connection (?:refused|error|timed out)"
    r"|connect error|error sending request|name resolution|network (?:is unreachable|connectivity)|timed out",
    re.IGNORECASE,
)
_INVENTORY = (
    "import importlib.metadata as m, json, sys; "
    "print(json.dumps(['%d.%d.%d' % sys.version_info[:3], "
    "sorted({d.metadata['Name'] + '==' + d.version for d in m.distributions()})]))"
)


def obtain(
    recipe: EnvironmentRecipe,
    *,
    cache: Path,
    variables: Mapping[str, str],
    report: Report,
    cancelled: threading.Event,
) -> Path:
    """The Python of its environment, built if need be. Blocks. `cache` is ARGOSY_CACHE; `variables` is the environment
    for what builds (keys of ours have no business there). Raises BuildError, also soon after `cancelled` is set."""
    environments = EnvironmentCache(cache / "environments")
    return environments.obtain(
        recipe,
        lambda recipe, folder, temporary: _build(
            recipe,
            folder,
            _Steps(
                recipe=recipe,
                log=environments.log(recipe),
                variables={
                    **{name: value for name, value in variables.items() if name not in _OURS},
                    "TMPDIR": str(temporary),
                },
                report=report,
                cancelled=cancelled,
            ),
        ),
        report,
        cancelled,
    )


@dataclass(frozen=True)
class _Steps:
    """Runs programs, one after the other, for one build."""

    recipe: EnvironmentRecipe
    log: Path
    variables: Mapping[str, str]
    report: Report
    cancelled: threading.Event

    def __post_init__(self) -> None:
        self.log.write_bytes(b"")

    def run(self, argv: Sequence[str]) -> None:
        """Raises BuildError with the program's last lines."""
        began, start = time.monotonic(), self.log.stat().st_size
        with self.log.open("ab") as output:
            output.write(f"$ {' '.join(argv)}\n".encode())
            output.flush()
            # Not where somebody works: a uv.toml or a file pip.py of theirs is not meant.
            running = leashed(
                on_a_leash(argv), stdout=output, stderr=subprocess.STDOUT, env=self.variables, cwd=self.log.parent
            )
            with running as child:
                while child.poll() is None:
                    said = self._last_lines(start, 1)
                    what = f": {said[0][:_LONGEST_LINE]}" if said else ""
                    self.report(f"building the environment of {self.recipe}{what}, {time.monotonic() - began:.0f} s")
                    if self.cancelled.wait(POLL_SECONDS):
                        raise BuildError(f"building the environment of {self.recipe} was cancelled; nothing was kept")
        if child.returncode:
            raise self._failure(argv, child.returncode, start)

    def _failure(self, argv: Sequence[str], code: int, start: int) -> BuildError:
        text = self.log.read_bytes()[start:].decode(errors="replace")
        unreachable = _UNREACHABLE.search(text) is not None
        cure = (
            "the package index is not reachable from here: check the network and the proxy, name a mirror "
            "(PIP_INDEX_URL, UV_INDEX_URL), or build it while there is a network"
            if unreachable
            else "change the environment's requirements"
        )
        program = "uv" if Path(argv[0]).name == "uv" else " ".join(argv[1:3]).removeprefix("-m ").partition(" ")[0]
        return BuildError(
            f"the environment of {', '.join(self.recipe.requirements)} cannot be built: {program} ended with code "
            f"{code}. Last lines: {' | '.join(self._last_lines(start, _LAST_LINES))} (all of them: {self.log}); {cure}",
            permanent=not unreachable,
        )

    def _last_lines(self, start: int, count: int) -> list[str]:
        with self.log.open("rb") as log:
            log.seek(max(start, self.log.stat().st_size - (1 << 14)))
            lines = log.read().decode(errors="replace").splitlines()
        told = [line.strip() for line in lines if line.strip() and not line.strip().startswith(_NO_NEWS)]
        return told[-count:]


def _build(recipe: EnvironmentRecipe, folder: Path, steps: _Steps) -> Built:
    uv = None if recipe.installer == "pip" else _find_uv(steps.variables)
    if uv is None and recipe.installer == "uv":
        raise BuildError(f"the environment of {recipe} wants uv, which is not on PATH: pip install uv", permanent=True)
    version = python_version(recipe)
    base = find_python(version, steps.variables)
    python = str(folder / "bin" / "python")
    indexes = [word for url in recipe.extra_index_urls for word in ("--extra-index-url", url)]
    if uv is not None:
        steps.run([uv, "venv", "--python", base or version, str(folder)])
        install = [uv, "pip", "install", "--python", python]
        uninstall = [uv, "pip", "uninstall", "--python", python]
    elif base is not None:
        steps.run([base, "-m", "venv", str(folder)])
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input"]
        install = [*pip, "install", "--progress-bar", "off"]
        uninstall = [*pip, "uninstall", "--yes"]
    else:
        raise BuildError(
            f"the environment of {recipe} wants Python {version}, which is not on PATH: install it, or install uv "
            "(pip install uv), which fetches it",
            permanent=True,
        )
    steps.run([*install, *indexes, *recipe.requirements])
    if recipe.without:
        steps.run([*uninstall, *recipe.without])
    told = subprocess.run([python, "-I", "-c", _INVENTORY], capture_output=True, check=False)
    if told.returncode:
        raise BuildError(f"the new environment's Python does not run: {told.stderr.decode(errors='replace')[-500:]}")
    full_version, packages = msgspec.json.decode(told.stdout, type=tuple[str, list[str]])
    return Built(python=full_version, installer="uv" if uv else "pip", packages=packages)


def _find_uv(variables: Mapping[str, str]) -> str | None:
    """On PATH, or beside the Python that runs Argosy, where `pip install uv` puts it."""
    return shutil.which("uv", path=variables.get("PATH")) or shutil.which("uv", path=Path(sys.executable).parent)
