"""What a gateway adds for one client alone, and what streams that are open cost it: milliseconds and memory.

One client asks the engine itself and each gateway in turn, so that all meet the same phases of the machine: the time to
a plain answer, to a stream's first event, and what the gaps between the events of a paced stream are beyond the
engine's own. Then a thousand streams are opened through each gateway and held, and its memory is read.

    benchmarks/one_client.py --peers nginx,vllm-router --rounds 2000
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import resource
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cases import Case, all_cases, held_case
from mock_engine import EVENTS
from peers import HERE, Peer, Site
from processes import Processes, first_line, pinned, pss_mebibytes, two_cores

from gateway import wait_until_right

ENGINE = "engine alone"
PACED_EVERY = 40  # rounds
_CHUNKED = b"\r\ntransfer-encoding: chunked\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_LAST_EVENT = b"data: [DONE]\n\n"  # of a stream that a gateway had whole, and gave a length


class Client:
    """One connection, kept."""

    def __init__(self, port: int, cases: Mapping[str, Case]) -> None:
        self._requests = {name: case.request(port) for name, case in cases.items()}
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def plain(self, case: str) -> float:
        """Seconds to the whole answer."""
        begun = time.perf_counter()
        self._socket.sendall(self._requests[case])
        seen = self._more()
        head, _, body = seen.partition(b"\r\n\r\n")
        left = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]) - len(body)
        while left > 0:
            left -= len(self._more())
        return time.perf_counter() - begun

    def stream(self, case: str) -> tuple[float, list[float]]:
        """Seconds to the first event, and between the parts that came after it."""
        begun = time.perf_counter()
        self._socket.sendall(self._requests[case])
        seen, times = b"", list[float]()
        while not seen.endswith(_LAST_CHUNK if _CHUNKED in seen.lower() else _LAST_EVENT):
            seen += self._more()
            if b"data:" in seen:
                times.append(time.perf_counter())
        return times[0] - begun, [after - before for before, after in itertools.pairwise(times)]

    def close(self) -> None:
        self._socket.close()

    def _more(self) -> bytes:
        return self._socket.recv(65536) or sys.exit(f"{self._socket.getpeername()} was closed in mid-answer")


@dataclass(frozen=True)
class Figure:
    """Milliseconds, medians; `jitter`: how far the gaps of a paced stream were from the engine's own, 99th of 100."""

    gateway: str
    plain: float
    first_event: float
    jitter: float
    mebibytes_idle: float | None = None
    mebibytes_open: float | None = None


def latencies(ports: Mapping[str, int], cases: Mapping[str, Case], rounds: int) -> list[Figure]:
    clients = {name: Client(port, cases) for name, port in ports.items()}
    plain: dict[str, list[float]] = {name: [] for name in ports}
    first: dict[str, list[float]] = {name: [] for name in ports}
    gaps: dict[str, list[float]] = {name: [] for name in ports}
    for round_ in range(rounds):
        for name, client in clients.items():
            plain[name].append(client.plain("unary"))
            first[name].append(client.stream("burst")[0])
            if round_ % PACED_EVERY == 0:
                gaps[name] += client.stream("paced")[1]
    for client in clients.values():
        client.close()
    middle = statistics.median(gaps[ENGINE])
    return [
        Figure(
            name,
            round(statistics.median(plain[name]) * 1000, 3),
            round(statistics.median(first[name]) * 1000, 3),
            round(statistics.quantiles([abs(gap - middle) for gap in gaps[name]], n=100)[98] * 1000, 2),
        )
        for name in ports
    ]


def held_open(port: int, streams: int) -> list[socket.socket]:
    """As many streams, each past its first event."""
    request = held_case().request(port)
    opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(streams)]
    for each in opened:
        each.sendall(request)
    for each in opened:
        seen = b""
        while b"data:" not in seen:
            seen += each.recv(65536) or sys.exit(f"a stream at port {port} was closed: {seen!r}")
    return opened


def measure(names: Sequence[str], rounds: int, streams: int) -> list[Figure]:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 65536), limit))
    load_core, gateway_core = two_cores()
    with tempfile.TemporaryDirectory(prefix="argosy-benchmark-") as name, Processes(Path(name)) as processes:
        engines = processes.start("engines", [sys.executable, str(HERE / "mock_engine.py")], core=load_core, talks=True)
        site = Site(Path(name), [int(port) for port in first_line(engines).split()])
        peers: list[Peer] = [site.argosy(), *map(site.peer, names)]
        pids = {peer: processes.start(peer.name, peer.argv, core=gateway_core, env=peer.env).pid for peer in peers}
        known = all_cases()
        cases = {each: known[each] for each in ("unary", "burst", "paced")}
        asyncio.run(wait_until_right(peers, list(cases.values()), processes))
        with pinned(load_core):
            found = latencies({ENGINE: site.engines[0], **{peer.name: peer.port for peer in peers}}, cases, rounds)
        figures = found[:1]
        for peer, figure in zip(peers, found[1:], strict=True):
            idle = pss_mebibytes(pids[peer])
            opened = held_open(peer.port, streams)
            held = pss_mebibytes(pids[peer])
            for each in opened:
                each.close()
            figures.append(Figure(peer.name, figure.plain, figure.first_event, figure.jitter, round(idle), round(held)))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="", help="as gateway.py takes them")
    parser.add_argument("--rounds", type=int, default=1000, help="requests of each kind (%(default)s)")
    parser.add_argument("--streams", type=int, default=1000, help="that are held open (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    given = parser.parse_args()
    found = measure([name for name in given.peers.split(",") if name], given.rounds, given.streams)
    alone = found[0]
    print(f"Milliseconds beyond the engine's own, medians of {given.rounds}; paced: {EVENTS} events, one every 5 ms\n")
    print("| | plain | first event | gaps, 99% within | MiB idle | MiB with streams open |")
    print("|---|---|---|---|---|---|")
    print(f"| {ENGINE} | {alone.plain:.3f} | {alone.first_event:.3f} | {alone.jitter:.2f} | | |")
    for each in found[1:]:
        plain, first = each.plain - alone.plain, each.first_event - alone.first_event
        memory = f"{each.mebibytes_idle} | {each.mebibytes_open}"
        print(f"| {each.gateway} | {plain:+.3f} | {first:+.3f} | {each.jitter:.2f} | {memory} |")
    if given.json:
        given.json.write_text(json.dumps([asdict(each) for each in found], indent=2) + "\n")


if __name__ == "__main__":
    main()
