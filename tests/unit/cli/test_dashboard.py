from __future__ import annotations

import io

from rich.console import Console

from argosy.cli.dashboard import screen, totals
from argosy.cli.figures import bytes_text, duration_text, rate_text
from argosy.protocol.admin import DeploymentReport, FleetReport, ProcessReport, ReplicaReport

REPORT = FleetReport(
    name="demo",
    gateways=[ProcessReport(state="running", address="http://127.0.0.1:8000", since=1000.0)],
    controller=ProcessReport(state="gone"),
    deployments=[
        DeploymentReport(
            name="m",
            engine="llama.cpp",
            wanted=2,
            ready=1,
            waiting=3,
            replicas=[
                ReplicaReport(
                    id="m.0",
                    state="ready",
                    in_flight=2,
                    since=1000.0,
                    tokens_per_second=41.5,
                    memory_bytes=512 * 1024**2,
                ),
                ReplicaReport(id="m.1", state="failed", reason="[no] such model", restarts=4),
            ],
        )
    ],
)


def drawn(columns: int, lines: int) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=columns, height=lines, force_terminal=False)
    console.print(screen(REPORT, 1125.0, columns=columns, lines=lines))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_totals_stand_on_top() -> None:
    assert totals(REPORT) == "fleet demo · 1/2 ready · 2 in flight · 3 waiting · 41.5 tokens/s · 512 MiB"


def test_a_wide_terminal_shows_every_column() -> None:
    lines = drawn(140, 30)
    assert lines[1] == "gateway running for 2m at http://127.0.0.1:8000 · controller gone"
    assert lines[3].split() == ["NAME", "STATE", "FLIGHT", "TOK/S", "MEMORY", "UP", "RESTARTS", "WAITING", "REASON"]
    assert lines[5].split() == ["m.0", "ready", "2", "41.5", "512", "MiB", "2m"]
    assert lines[6].split() == ["m.1", "failed", "4", "[no]", "such", "model"]


def test_a_narrow_and_low_terminal_shows_what_matters_and_says_what_is_missing() -> None:
    lines = drawn(44, 7)
    assert lines[3].split() == ["NAME", "STATE", "FLIGHT"]
    assert len(lines) == 7
    assert lines[-1] == "1 more rows have no room here · q ends"
    assert max(map(len, lines)) <= 44


def test_figures_are_short() -> None:
    assert [bytes_text(size) for size in (None, 26 * 1024**2, 1536 * 1024**2)] == ["", "26 MiB", "1.5 GiB"]
    times = [duration_text(seconds) for seconds in (-1, 59, 60, 3600 + 65, 90_000)]
    assert times == ["0s", "59s", "1m", "1h01m", "1d01h"]
    assert [rate_text(rate) for rate in (0, 7.25, 250.4)] == ["", "7.2", "250"]
