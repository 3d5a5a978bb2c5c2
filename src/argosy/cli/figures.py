"""Figures as a person reads them: sizes, times, rates. Pure."""

from __future__ import annotations

from argosy.protocol.admin import DeploymentReport, ReplicaReport

_MIB = 1024 * 1024


def bytes_text(size: int | None) -> str:
    """`512 MiB`, `1.2 GiB`; nothing for what is not known."""
    if size is None:
        return ""
    mib = size / _MIB
    return f"{mib:.0f} MiB" if mib < 1000 else f"{mib / 1024:.1f} GiB"


def duration_text(seconds: float) -> str:
    """`45s`, `12m`, `3h05m`, `2d04h`."""
    minutes = int(seconds) // 60
    if minutes < 1:
        return f"{max(0, int(seconds))}s"
    if minutes < 60:
        return f"{minutes}m"
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60:02}m"
    return f"{minutes // 1440}d{minutes % 1440 // 60:02}h"


def rate_text(per_second: float) -> str:
    """One digit after the point while it is small; nothing for nothing."""
    if not per_second:
        return ""
    return f"{per_second:.1f}" if per_second < 100 else f"{per_second:.0f}"


def uptime_text(replica: ReplicaReport, now: float) -> str:
    """How long it has been ready."""
    return duration_text(now - replica.since) if replica.state == "ready" and replica.since else ""


def state_text(deployment: DeploymentReport) -> str:
    """`2/3 ready`; `1 ready` of what nobody asked for: workers that were started by hand."""
    if deployment.stopped:
        return "stopped"
    if deployment.ready and not deployment.wanted:
        return f"{deployment.ready} ready"
    return f"{deployment.ready}/{deployment.wanted} ready"
