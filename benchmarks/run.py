"""Every benchmark, one after the other, in about seven minutes: what `make bench` runs.

benchmarks/run.py [--peers bare-hop,nginx,vllm-router] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def run(name: str, arguments: list[str], folder: Path) -> Any:
    """Its figures. Ends the run when it fails."""
    found = folder / f"{name}.json"
    print(f"── benchmarks/{name}.py {' '.join(arguments)}".rstrip(), end="\n\n", flush=True)
    done = subprocess.run([sys.executable, str(HERE / f"{name}.py"), "--json", str(found), *arguments], check=False)
    if done.returncode:
        sys.exit(f"benchmarks/{name}.py ended with {done.returncode}")
    print(flush=True)
    return json.loads(found.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="other gateways, as benchmarks/gateway.py takes them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="argosy-benchmark-") as name:
        folder = Path(name)
        figures = {
            "startup": run("startup", [], folder),
            "serving": run("serving", ["--rounds", "1"], folder),
            "prefill": run("prefill", ["--tokens", "500"], folder),
            "leaving": run("leaving", ["--times", "4"], folder),
            "affinity": run("affinity", ["--cost"], folder),
            "placement": run("placement", [], folder),
            "one_client": run("one_client", ["--peers", given.peers] if given.peers else [], folder),
            "gateway": run("gateway", ["--peers", given.peers] if given.peers else [], folder),
        }
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
