"""What `argosy top` draws of one report, in the room there is. Pure, but for rich, which only it imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from argosy.cli.figures import bytes_text, duration_text, rate_text, state_text, uptime_text
from argosy.cli.render import one_line
from argosy.protocol.admin import DeploymentReport, FleetReport, ReplicaReport

if TYPE_CHECKING:
    from rich.console import Group

_STYLES = {"ready": "green", "failed": "red", "backoff": "yellow", "starting": "cyan", "draining": "magenta"}
_FIXED_LINES = 5  # totals, processes, a blank line, the header, the last line


def screen(report: FleetReport, now: float, *, columns: int, lines: int) -> Group:
    """A renderable of rich. Columns that a narrow terminal has no room for are left out, the least needed first."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    shown = [name for name, least in _COLUMNS if columns >= least]
    table = Table(box=None, expand=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in shown:
        table.add_column(name, justify="right" if name in _FIGURES else "left", no_wrap=True, overflow="ellipsis")
    rows = _rows(report, now)
    room = max(1, lines - _FIXED_LINES)
    for row in rows[:room]:
        style = "bold" if row["deployment"] else _STYLES.get(row["STATE"], "")
        table.add_row(*(Text(row[name], style=style if name in ("NAME", "STATE") else "") for name in shown))
    hidden = len(rows) - room
    last = f"{hidden} more rows have no room here · q ends" if hidden > 0 else "q ends"
    head = [Text(totals(report), style="bold", no_wrap=True, overflow="ellipsis")]
    head.append(Text(_processes(report, now), no_wrap=True, overflow="ellipsis"))
    return Group(*head, Text(), table, Text(last, style="dim", no_wrap=True))


def totals(report: FleetReport) -> str:
    """The fleet in one line."""
    replicas = [replica for deployment in report.deployments for replica in deployment.replicas]
    ready = sum(replica.state == "ready" for replica in replicas)
    wanted = sum(deployment.wanted for deployment in report.deployments if not deployment.stopped)
    parts = [f"fleet {report.name}", f"{ready}/{wanted} ready"]
    parts.append(f"{sum(replica.in_flight for replica in replicas)} in flight")
    parts.append(f"{sum(deployment.waiting for deployment in report.deployments)} waiting")
    parts.append(f"{rate_text(sum(replica.tokens_per_second for replica in replicas)) or 0} tokens/s")
    if memory := sum(replica.memory_bytes or 0 for replica in replicas):
        parts.append(bytes_text(memory))
    return " · ".join(parts)


# The least width of a terminal that shows it.
_COLUMNS = (
    ("NAME", 0),
    ("STATE", 0),
    ("FLIGHT", 40),
    ("TOK/S", 48),
    ("MEMORY", 60),
    ("UP", 68),
    ("RESTARTS", 80),
    ("WAITING", 90),
    ("REASON", 100),
)
_FIGURES = frozenset({"FLIGHT", "TOK/S", "MEMORY", "UP", "RESTARTS", "WAITING"})


def _rows(report: FleetReport, now: float) -> list[dict[str, str]]:
    rows = []
    for deployment in report.deployments:
        rows.append(_deployment(deployment))
        rows += [_replica(replica, now) for replica in deployment.replicas]
    return rows


def _deployment(deployment: DeploymentReport) -> dict[str, str]:
    replicas = deployment.replicas
    memory = sum(replica.memory_bytes or 0 for replica in replicas)
    return {
        "deployment": "yes",
        "NAME": deployment.name,
        "STATE": state_text(deployment),
        "FLIGHT": str(sum(replica.in_flight for replica in replicas)),
        "TOK/S": rate_text(sum(replica.tokens_per_second for replica in replicas)) or "0",
        "MEMORY": bytes_text(memory or None),
        "UP": "",
        "RESTARTS": "",
        "WAITING": str(deployment.waiting or ""),
        "REASON": deployment.engine,
    }


def _replica(replica: ReplicaReport, now: float) -> dict[str, str]:
    return {
        "deployment": "",
        "NAME": f"  {replica.id}",
        "STATE": replica.state,
        "FLIGHT": str(replica.in_flight or ""),
        "TOK/S": rate_text(replica.tokens_per_second),
        "MEMORY": bytes_text(replica.memory_bytes),
        "UP": uptime_text(replica, now),
        "RESTARTS": str(replica.restarts or ""),
        "WAITING": "",
        "REASON": one_line(replica.reason),
    }


def _processes(report: FleetReport, now: float) -> str:
    parts = []
    for name, process in [*(("gateway", each) for each in report.gateways), ("controller", report.controller)]:
        up = f" for {duration_text(now - process.since)}" if process.state == "running" and process.since else ""
        where = f" at {process.address}" if process.address and name == "gateway" else ""
        parts.append(f"{name} {process.state}{up}{where}")
    return " · ".join(parts)
