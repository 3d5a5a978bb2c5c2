"""What a request costs in the gateway, in CPU time, beside other gateways on the same work in the same run.

Mock engines and the load share one core, every gateway is pinned to another. All gateways are up at once and are loaded
in turn in slices of 0.4 s, so that they meet the same phases of a machine that is never quiet. Per slice, the CPU time
of a gateway's whole process tree (as the scheduler counts it) is divided by the requests that were answered; the median
slice is told, and the median of the ratios between neighbouring slices. Quote the ratios: single figures move by half
and more with what else a machine does.

    benchmarks/gateway.py
    benchmarks/gateway.py --peers nginx,vllm-router,sglang-router --cases unary,burst --json figures.json
    benchmarks/gateway.py --beside ../before             # another checkout of Argosy, started by the same Python
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cases import Case, WrongAnswerError, all_cases
from load import Order, Outcome
from peers import HERE, Peer, Site, nginx_program
from processes import Processes, cpu_nanoseconds, first_line, say, two_cores

from argosy.errors import UpstreamError
from argosy.wire.client import Client

OURS = "argosy"
SLICE_SECONDS = 0.4
WARM_SECONDS = 0.3
SECONDS_TO_START = 60.0
LOOK_SECONDS = 0.1

Slices = Mapping[str, Sequence[float]]  # gateway → µs of CPU time per request, slice by slice


@dataclass(frozen=True)
class Figure:
    """What one case costs in one gateway."""

    case: str
    gateway: str
    microseconds: float  # of CPU time per request: the median slice
    ratio: float  # to ours in the neighbouring slice: the median


class Measurement:
    """Gateways that run, and the load that is sent to each in turn."""

    def __init__(
        self, folder: Path, processes: Processes, load: subprocess.Popen[str], pids: Mapping[Peer, int]
    ) -> None:
        self._folder = folder
        self._processes = processes
        self._load = load
        self._pids = pids

    def case(self, case: Case, slices: int) -> Slices:
        costs: dict[str, list[float]] = {peer.name: [] for peer in self._pids}
        turns = list(self._pids)
        for peer in turns:
            self._slice(peer, case, WARM_SECONDS)
        for _ in range(slices):
            for peer in turns:
                costs[peer.name].append(self._slice(peer, case, SLICE_SECONDS))
            turns.reverse()  # nobody always comes after the same neighbour
        return costs

    def _slice(self, peer: Peer, case: Case, seconds: float) -> float:
        request = self._folder / f"{case.name}-{peer.name}.request"
        if not request.exists():
            request.write_bytes(case.request(peer.port))
        order = Order(peer.port, str(request), case.connections, seconds)
        before = cpu_nanoseconds(self._pids[peer])
        outcome = Outcome(**json.loads(say(self._load, json.dumps(asdict(order)))))
        spent = cpu_nanoseconds(self._pids[peer]) - before
        if outcome.failed or not outcome.requests:
            log = self._processes.log(peer.name).read_text(errors="replace")[-2000:]
            sys.exit(
                f"{peer.name}, {case.name}: {outcome.failed} of {outcome.requests} requests failed. Its log:\n{log}"
            )
        return spent / outcome.requests / 1000


def figures(case: Case, slices: Slices) -> list[Figure]:
    ours = slices[OURS]
    return [
        Figure(
            case.name,
            gateway,
            round(statistics.median(costs), 1),
            round(statistics.median(theirs / own for theirs, own in zip(costs, ours, strict=True)), 2),
        )
        for gateway, costs in slices.items()
    ]


def line(shown: Sequence[Figure]) -> str:
    """A row of the table: the case, then each gateway's cost and its ratio to ours."""
    cells = [f"{each.microseconds:.0f}" + ("" if each.gateway == OURS else f" ({each.ratio:.2f}×)") for each in shown]
    return "".join([f"{shown[0].case:8}", *(f"{cell:>17}" for cell in cells)])


async def wait_until_right(peers: Sequence[Peer], cases: Sequence[Case], processes: Processes) -> None:
    """Until every gateway answers every case in full: from outside there is nothing to await but the answer itself."""
    client = Client()
    try:
        for peer in peers:
            async with asyncio.timeout(SECONDS_TO_START):
                while not await _answers(client, peer, cases[0]):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_SECONDS)
            for case in cases:
                await case.check(client, peer.port)
    except (TimeoutError, WrongAnswerError, UpstreamError) as error:
        log = processes.log(peer.name).read_text(errors="replace")[-2000:]
        sys.exit(f"{peer.name} does not do the work that is measured: {error or 'no right answer in time'}\n{log}")
    finally:
        await client.close()


async def _answers(client: Client, peer: Peer, case: Case) -> bool:
    try:
        await case.check(client, peer.port)
    except (UpstreamError, WrongAnswerError):
        return False
    return True


def measure(names: Sequence[str], checkouts: Sequence[Path], cases: Sequence[Case], slices: int) -> list[Figure]:
    load_core, gateway_core = two_cores()
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="argosy-benchmark-") as name, Processes(Path(name)) as processes:
        folder = Path(name)
        engines = processes.start("engines", [sys.executable, str(HERE / "mock_engine.py")], core=load_core, talks=True)
        site = Site(folder, [int(port) for port in first_line(engines).split()])
        peers = [site.argosy(), *map(site.checkout, checkouts), *map(site.peer, names)]
        pids = {peer: processes.start(peer.name, peer.argv, core=gateway_core, env=peer.env).pid for peer in peers}
        asyncio.run(wait_until_right(peers, cases, processes))
        load = processes.start("load", [sys.executable, str(HERE / "load.py")], core=load_core, talks=True)
        measurement = Measurement(folder, processes, load, pids)
        print("CPU time per request in µs, and how many times ours (median slices)\n")
        print("".join([" " * 8, *(f"{peer.name:>17}" for peer in peers)]), flush=True)
        for case in cases:
            rows = figures(case, measurement.case(case, slices))
            print(line(rows), flush=True)
            found += rows
    return found


def main() -> None:
    known = all_cases()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = "bare-hop,nginx" if nginx_program() else "bare-hop"
    parser.add_argument("--peers", default=default, help="bare-hop, nginx, vllm-router, sglang-router (%(default)s)")
    beside = "another checkout of Argosy, measured under its folder's name; may be given again"
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", action="append", default=[], help=beside)
    parser.add_argument("--cases", default=",".join(known), help="%(default)s")
    parser.add_argument("--slices", type=int, default=10, help=f"of {SLICE_SECONDS} s for each gateway and case")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    given = parser.parse_args()
    names = [name for name in given.peers.split(",") if name]
    cases = [
        known.get(name) or sys.exit(f"no case is called {name!r}; there are {', '.join(known)}")
        for name in given.cases.split(",")
    ]
    found = measure(names, given.beside, cases, given.slices)
    if given.json:
        given.json.write_text(json.dumps([asdict(figure) for figure in found], indent=2) + "\n")


if __name__ == "__main__":
    main()
