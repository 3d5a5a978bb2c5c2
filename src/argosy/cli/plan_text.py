"""How a plan and a machine's devices look in a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.cli.figures import bytes_text
from argosy.cli.render import table
from argosy.protocol.plan import DevicesReport, FleetPlan, PlannedNode, Share

_BAR = 20  # characters
_SHOWN = 12  # replicas of a line


def plan_text(plan: FleetPlan) -> str:
    """What `argosy plan` prints."""
    placed, refused = len(plan.replicas), len(plan.refused)
    count = f"{placed} replica{'' if placed == 1 else 's'} placed"
    without = f", {refused} without a place" if refused else ""
    lines = [f"fleet {plan.fleet}: {count}{without}{_simulated(plan.simulated)}"]
    for node in plan.nodes:
        lines += ["", *_node(node)]
    return "\n".join([*lines, "", *_ends(plan)])


def short_plan_text(plan: FleetPlan) -> str:
    """What `argosy up` prints of it: nothing where there is no choice to tell of."""
    on_gpus = {each.id: each.devices for each in plan.replicas if each.devices and each.change != "keep"}
    lines = [f"  {replica} → {', '.join(f'gpu{index}' for index in devices)}" for replica, devices in on_gpus.items()]
    if lines:
        lines.insert(0, f"plan{_simulated(plan.simulated)}:")
    return "\n".join([*lines, *_refusals(plan)])


def devices_text(report: DevicesReport) -> str:
    """What `argosy devices` prints."""
    free = f", {bytes_text(report.free_bytes)} free"
    lines = [
        f"{report.node}: {report.cores} core{'' if report.cores == 1 else 's'}, "
        f"{bytes_text(report.memory_bytes)} of memory{free}{_simulated(report.simulated)}"
    ]
    if report.why_no_gpu:
        lines.append(report.why_no_gpu)
    if not report.devices:
        return "\n".join(lines)
    rows = []
    for device in report.devices:
        strangers = [
            f"pid {each.pid}{f' {each.name}' if each.name else ''} {bytes_text(each.memory_bytes)}".rstrip()
            for each in device.processes
            if not each.replica
        ]
        row = [f"gpu{device.index}", f"{device.name} (MIG)" if device.mig else device.name, device.uuid]
        row += [bytes_text(device.memory_bytes), bytes_text(device.free_bytes)]
        rows.append([*row, _shares(device.replicas), ", ".join(strangers)])
        rows += [["", part.name, part.uuid, "", "", "", ""] for part in device.instances]
    return "\n".join([*lines, "", table(["GPU", "NAME", "UUID", "MEMORY", "FREE", "REPLICAS", "OTHERS"], rows)])


def _node(node: PlannedNode) -> list[str]:
    memory = f", {bytes_text(node.memory_bytes)} of memory" if node.memory_bytes is not None else ""
    head = f"node {node.name}: {node.cores} core{'' if node.cores == 1 else 's'}{memory}"
    if not node.devices and node.why_no_gpu:
        head += f"; {node.why_no_gpu}"
    rows = []
    for device in node.devices:
        others = f"; others {bytes_text(device.others_bytes)}" if device.others_bytes else ""
        bar = _bar(device.planned_bytes, device.others_bytes, device.limit_bytes)
        figures = f"{bytes_text(device.planned_bytes)} of {bytes_text(device.limit_bytes)}"
        rows.append([f"gpu{device.index}", device.name, bar, figures, f"{_shares(device.replicas)}{others}"])
    if node.replicas:
        total = node.memory_bytes or node.planned_bytes
        figures = f"{bytes_text(node.planned_bytes)} of {bytes_text(node.memory_bytes)}" if node.memory_bytes else ""
        rows.append(["cpu", "", _bar(node.planned_bytes, 0, total), figures, _shares(node.replicas)])
    if not rows:
        return [head]
    return [head, *(f"  {line}" for line in table([""] * 5, rows).splitlines()[1:])]


def _ends(plan: FleetPlan) -> list[str]:
    changes = plan.changes
    told = [
        f"{verb} {_counted(replicas)}"
        for verb, replicas in (
            ("start", changes.start),
            ("restart", changes.restart),
            ("stop", changes.stop),
            ("keep", changes.keep),
        )
        if replicas
    ]
    notes = [f"note: {each}" for each in plan.notes]
    return [*_refusals(plan), *notes, f"up would {'; '.join(told)}" if told else "up would change nothing"]


def _refusals(plan: FleetPlan) -> list[str]:
    return [f"no place: {each.reason}{' (it stays as it runs now)' if each.runs else ''}" for each in plan.refused]


def _counted(replicas: Sequence[str]) -> str:
    shown = ", ".join(replicas[:_SHOWN])
    return shown if len(replicas) <= _SHOWN else f"{shown} and {len(replicas) - _SHOWN} more"


def _shares(shares: Sequence[Share]) -> str:
    said = [
        f"{f'{share.fleet}/' if share.fleet else ''}{share.replica}"
        f"{f' {bytes_text(share.memory_bytes)}' if share.memory_bytes else ''}"
        for share in shares
    ]
    return _counted(said)


def _bar(planned: int, others: int, limit: int) -> str:
    """# planned, x other people's, . left"""
    scale = _BAR / max(1, limit)
    first = min(_BAR, round(planned * scale))
    second = min(_BAR - first, round(others * scale))
    return f"[{'#' * first}{'x' * second}{'.' * (_BAR - first - second)}]"


def _simulated(simulated: bool) -> str:
    return " (simulated)" if simulated else ""
