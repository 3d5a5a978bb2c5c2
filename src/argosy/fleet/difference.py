"""What applying another fleet file changes, said before it is done. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from argosy.config.schema import Fleet
from argosy.fleet.desired import Desired
from argosy.fleet.planner import config_of, deployment_of, differing, restarts_nothing, restarts_who_moves

_SHOWN = 40  # characters of a value


@dataclass(frozen=True)
class Change:
    """What becomes of one deployment, of the gateway or of the fleet's own settings."""

    name: str
    kind: str  # new | removed | restarted (where it moves) | changed (nothing restarts) | started (it was stopped)
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.kind}{f' ({self.detail})' if self.detail else ''}"


def changes(before: Desired, after: Fleet) -> list[Change]:
    """The difference that applying `after` makes; what stays as it is, is left out."""
    old = before.fleet
    found = []
    if details := list(_details(_dump(old.gateway), _dump(after.gateway))):
        found.append(Change("gateway", "changed, no engine restarts", ", ".join(details)))
    if before.gateway_stopped:
        found.append(Change("gateway", "started"))
    if old.arena != after.arena:
        was, will = (_dump(arena) if arena is not None else {} for arena in (old.arena, after.arena))
        kind = "changed, no engine restarts" if was and will else "new" if will else "removed"
        found.append(Change("arena", kind, ", ".join(_details(was, will)) if was and will else ""))
    if old.grace != after.grace:
        found.append(Change("grace", "changed without a restart", f"{old.grace:g} → {after.grace:g}"))
    if details := list(_details(_dump(old.budget), _dump(after.budget))):
        found.append(Change("budget", "changed without a restart", ", ".join(details)))
    if old.fastchat != after.fastchat:
        found.append(Change("fastchat", "changed, no engine restarts" if after.fastchat else "removed"))
    found += [Change(name, "removed") for name in old.deployments if name not in after.deployments]
    for name, deployment in after.deployments.items():
        if name not in old.deployments:
            found.append(Change(name, "new", f"replicas {deployment.replicas}" if deployment.replicas != 1 else ""))
            continue
        was, will = config_of(old.deployments[name]), config_of(deployment)
        details = list(_details(_spelt_out(old, name), _spelt_out(after, name)))
        drained = sorted(replica for replica in before.drained if deployment_of(replica) == name)
        if drained and name not in before.stopped:
            details.append(f"{', '.join(drained)} no longer drained")
        if name in before.stopped:
            found.append(Change(name, "started", ", ".join(details)))
        elif deployment.engine_name != "remote" and not restarts_nothing(differing(was, will)):
            kind = "restarted where it moves" if restarts_who_moves(differing(was, will)) else "restarted"
            found.append(Change(name, kind, ", ".join(details)))
        elif details:
            found.append(Change(name, "changed without a restart", ", ".join(details)))
    return found


def difference_text(before: Desired, after: Fleet) -> str:
    """Every change on a line, and what is left alone on the last one."""
    found = changes(before, after)
    touched = {change.name for change in found}
    same = [name for name in after.deployments if name not in touched]
    lines = [f"  {change}" for change in found]
    if same and found:
        lines.append(f"  unchanged: {', '.join(same)}")
    return "\n".join(lines) or "  nothing changes"


def _details(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Fields that differ, those of options and time limits one by one.

    Numbers and choices are shown. Other texts are not: `env`, `options` and `command` may hold a key.
    """
    for name in differing(old, new):
        was, will = old.get(name), new.get(name)
        path = f"{prefix}{name}"
        if name in ("options", "timeouts", "defaults") and isinstance(was or {}, dict) and isinstance(will or {}, dict):
            yield from _details(was or {}, will or {}, f"{path}.")
        elif name in ("env",):
            yield from (f"{path}.{each}" for each in differing(was or {}, will or {}))
        elif _shown(name, was, prefix) and _shown(name, will, prefix) and not (was is None and will is None):
            yield f"{path} {_text(was)} → {_text(will)}"
        else:
            yield path


def _shown(name: str, value: Any, prefix: str) -> bool:
    plain = value is None or isinstance(value, bool | int | float)
    return plain or (not prefix and name in ("source", "engine", "policy", "task", "host") and len(value) <= _SHOWN)


def _text(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _spelt_out(fleet: Fleet, name: str) -> dict[str, Any]:
    """With defaults, so that both sides of a change have a value; the engine's own options are as they were given."""
    return _dump(fleet.deployments[name])


def _dump(settings: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = settings.model_dump(mode="json")
    return dumped
