"""How long Argosy takes to start, and what it holds when it is idle.

The command line beside a bare interpreter, in turns; what its imports cost and which packages they go to; a fleet of
echo engines from `argosy up -d` to its last replica ready; and the memory of each of its processes (PSS: what they
share is counted once).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import pss_mebibytes

ROUNDS = 15
MOST_TIMES_BARE = 8.0  # what `argosy --help` may cost, in bare interpreters
REPLICAS = 2
IMPORTED = ("argosy.cli", "argosy.gateway.app")
SHOWN_PACKAGES = 5
FLEET = """
name: startup
gateway: {{port: 0}}
deployments:
  echo: {{engine: echo, replicas: {replicas}}}
"""
_IMPORT_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")


@dataclass(frozen=True)
class CommandLine:
    bare_ms: float  # python -c pass
    help_ms: float  # argosy --help

    @property
    def times(self) -> float:
        return self.help_ms / self.bare_ms


def command_line() -> CommandLine:
    """Medians of runs in turns."""
    bare, ours = [sys.executable, "-c", "pass"], [sys.executable, "-m", "argosy", "--help"]
    script = Path(sys.executable).with_name("argosy")
    if script.exists():
        ours = [str(script), "--help"]
    taken: dict[str, list[float]] = {"bare": [], "help": []}
    for _ in range(ROUNDS):
        taken["bare"].append(_milliseconds(bare))
        taken["help"].append(_milliseconds(ours))
    return CommandLine(statistics.median(taken["bare"]), statistics.median(taken["help"]))


def import_cost(module: str) -> dict[str, float]:
    """Top-level package → ms of its modules' own code, dearest first; without what the interpreter itself imports."""
    bare = _imports("pass")
    spent = defaultdict[str, float](float)
    for name, milliseconds in _imports(f"import {module}").items():
        if name not in bare:
            spent[_package(name)] += milliseconds
    return dict(sorted(spent.items(), key=lambda each: -each[1]))


def fleet_start() -> dict[str, float]:
    """Seconds of `argosy up -d`, and MiB of each process once all is ready."""
    with tempfile.TemporaryDirectory(prefix="argosy-benchmark-") as name:
        folder = Path(name)
        file = folder / "fleet.yaml"
        file.write_text(FLEET.format(replicas=REPLICAS))
        env = {**os.environ, "ARGOSY_HOME": str(folder / "home")}
        try:
            before = time.perf_counter()
            _argosy(["up", "-d", str(file)], env)
            found = {"up_seconds": time.perf_counter() - before}
            report = json.loads(_argosy(["ps", "--json"], env))
            found |= {f"{process}_mib": pss_mebibytes(pid) for process, pid in _processes(report).items()}
        finally:
            _argosy(["down"], env)
    return found


def _processes(report: dict[str, Any]) -> dict[str, int]:
    replica = report["deployments"][0]["replicas"][0]
    return {
        "gateway": report["gateways"][0]["pid"],
        "controller": report["controller"]["pid"],
        "worker": replica["worker_pid"],
    }


def _argosy(command: Sequence[str], env: Mapping[str, str]) -> str:
    argv = [sys.executable, "-m", "argosy", *command]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"argosy {' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _milliseconds(argv: Sequence[str]) -> float:
    before = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - before) * 1000


def _imports(code: str) -> dict[str, float]:
    """Module → ms of its own code."""
    told = subprocess.run([sys.executable, "-X", "importtime", "-c", code], check=True, capture_output=True, text=True)
    return {name: int(microseconds) / 1000 for microseconds, name in _IMPORT_LINE.findall(told.stderr)}


def _package(module: str) -> str:
    top = module.partition(".")[0]
    return "the standard library" if top in sys.stdlib_module_names else top


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    given = parser.parse_args()

    told = command_line()
    found: dict[str, Any] = {"bare_ms": told.bare_ms, "help_ms": told.help_ms, "help_times_bare": told.times}
    verdict = "as it should be" if told.times <= MOST_TIMES_BARE else "TOO MUCH"
    print(
        f"argosy --help      {told.help_ms:6.0f} ms   {told.times:.1f}× python -c pass ({told.bare_ms:.0f} ms);"
        f" at most {MOST_TIMES_BARE:g}×: {verdict}",
        flush=True,
    )
    for module in IMPORTED:
        packages = import_cost(module)
        found[f"import {module}"] = packages
        dearest = ", ".join(f"{name} {spent:.0f}" for name, spent in list(packages.items())[:SHOWN_PACKAGES])
        print(f"import {module:18} {sum(packages.values()):.0f} ms   {dearest}", flush=True)
    fleet = fleet_start()
    found |= fleet
    print(f"argosy up -d       {fleet['up_seconds']:6.2f} s    {REPLICAS} echo replicas, to the last one ready")
    for process in ("gateway", "controller", "worker"):
        print(f"{process:18} {fleet[f'{process}_mib']:6.1f} MiB  idle")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
