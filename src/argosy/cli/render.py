"""How a fleet looks in a terminal: plain text, aligned columns."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.cli.figures import bytes_text, rate_text, state_text, uptime_text
from argosy.protocol.admin import Event, FleetReport, ReplicaReport

_LONGEST_REASON = 100


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    return "\n".join(line.rstrip() for line in lines)


def fleet_text(report: FleetReport, now: float) -> str:
    """What `argosy ps` prints of one fleet. `now`: Unix seconds."""
    lines = [f"fleet {report.name}"]
    processes = [("gateway", each) for each in report.gateways] + [("controller", report.controller)]
    processes += [("fastchat", report.fastchat)] if report.fastchat is not None else []
    for name, process in processes:
        where = f" at {process.address}" if process.address and name in ("gateway", "fastchat") else ""
        pid = f", pid {process.pid}" if process.pid else ""
        restarts = f", {process.restarts} restarts" if process.restarts else ""
        dash = " — " if process.state in ("gone", "none") else ": "
        why = f"{dash}{process.reason}" if process.reason else ""
        lines.append(f"{name}: {process.state}{where}{pid}{restarts}{why}")
    if not report.deployments:
        return "\n".join([*lines, "no deployments"])
    rows = []
    for deployment in report.deployments:
        aliases = f" ({', '.join(deployment.aliases)})" if deployment.aliases else ""
        waiting = f"{deployment.waiting} waiting" if deployment.waiting else ""
        rows.append([f"{deployment.name}{aliases}", state_text(deployment), deployment.engine, *[""] * 6, waiting])
        rows += [_row(replica, now) for replica in deployment.replicas]
    header = ["NAME", "STATE", "ENGINE/ADDRESS", "PID", "IN FLIGHT", "TOKENS/S", "MEMORY", "UPTIME", "RESTARTS"]
    header.append("REASON")
    devices = {replica.id: ", ".join(replica.devices) for each in report.deployments for replica in each.replicas}
    if any(devices.values()):  # where nobody was given any, the column would be empty
        header.insert(3, "DEVICES")
        for row in rows:
            row.insert(3, devices.get(row[0].strip(), "") if row[0].startswith("  ") else "")
    return "\n".join([*lines, "", table(header, rows)])


def event_line(event: Event) -> str:
    """One change, as `argosy up` tells it."""
    return f"{event.name}  {event.state}{f'  {event.reason}' if event.reason else ''}"


def _row(replica: ReplicaReport, now: float) -> list[str]:
    pid = replica.engine_pid or replica.worker_pid
    return [
        f"  {replica.id}",
        replica.state,
        replica.address or "",
        str(pid or ""),
        str(replica.in_flight or ""),
        rate_text(replica.tokens_per_second),
        bytes_text(replica.memory_bytes),
        uptime_text(replica, now),
        str(replica.restarts or ""),
        one_line(replica.reason),
    ]


def one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 1]}…"
