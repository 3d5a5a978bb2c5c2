from __future__ import annotations

import io

from argosy.cli.progress import ProgressLines
from argosy.cli.render import fleet_text, table
from argosy.protocol.admin import DeploymentReport, Event, FleetReport, ProcessReport, ReplicaReport


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(state: str, reason: str = "", name: str = "a.0") -> Event:
    return Event(at=1.0, kind="replica", name=name, state=state, reason=reason)


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(["A", "LONG"], [["wide cell", "x"], ["y", ""]]) == "A          LONG\nwide cell  x\ny"


def test_ps_shows_states_reasons_and_a_dead_controller() -> None:
    report = FleetReport(
        name="demo",
        gateways=[ProcessReport(state="running", pid=7, address="http://127.0.0.1:8000")],
        controller=ProcessReport(state="gone", reason="what runs keeps running; `argosy up` adopts it"),
        deployments=[
            DeploymentReport(
                name="m",
                engine="echo",
                aliases=["gpt-x"],
                wanted=2,
                ready=1,
                replicas=[
                    ReplicaReport(id="m.0", state="ready", address="http://127.0.0.1:1", engine_pid=9),
                    ReplicaReport(id="m.1", state="failed", reason="no such\nmodel", restarts=4),
                ],
            )
        ],
    )
    lines = [line.split() for line in fleet_text(report, 0.0).splitlines()]
    assert " ".join(lines[1]) == "gateway: running at http://127.0.0.1:8000, pid 7"
    assert " ".join(lines[2]) == "controller: gone — what runs keeps running; `argosy up` adopts it"
    assert lines[5] == ["m", "(gpt-x)", "1/2", "ready", "echo"]
    assert lines[6] == ["m.0", "ready", "http://127.0.0.1:1", "9"]
    assert lines[7] == ["m.1", "failed", "4", "no", "such", "model"]


def test_every_change_of_state_is_a_line() -> None:
    out = io.StringIO()
    lines = ProgressLines(out)
    for event in (told("pending"), told("starting"), told("ready", "http://127.0.0.1:1 after 2.4 s")):
        lines.event(event)
    assert out.getvalue() == "a.0  starting\na.0  ready  http://127.0.0.1:1 after 2.4 s\n"


def test_progress_is_drawn_in_place_in_a_terminal() -> None:
    out = Terminal()
    lines = ProgressLines(out)
    for event in (told("starting"), told("starting", "1 of 98 MB"), told("starting", "2 of 98 MB"), told("ready")):
        lines.event(event)
    assert out.getvalue() == "a.0  starting\na.0: 1 of 98 MB\r\x1b[Ka.0: 2 of 98 MB\r\x1b[Ka.0  ready\n"


def test_progress_elsewhere_is_a_line_now_and_then() -> None:
    out, now = io.StringIO(), [0.0]
    lines = ProgressLines(out, clock=lambda: now[0])
    lines.event(told("starting"))
    for second in range(11):
        now[0] = float(second)
        lines.event(told("starting", f"{second} of 98 MB"))
    assert out.getvalue().splitlines() == [
        "a.0  starting",
        "a.0  starting  0 of 98 MB",
        "a.0  starting  5 of 98 MB",
        "a.0  starting  10 of 98 MB",
    ]
