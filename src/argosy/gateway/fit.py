"""Whether a deployment's engine can do what a request asks for. What it would overlook without a word is refused here.

Pure: what an engine serves and overlooks is told by its replica's status.
"""

from __future__ import annotations

from collections.abc import Mapping

from argosy.errors import BadRequestError, NotFoundError
from argosy.protocol.peek_base import Peek
from argosy.protocol.replica import ReplicaStatus
from argosy.registry.records import Deployment

_WITH_VALUES = {
    "tool_choice": "other than 'auto' or 'none'",
    "tool_choice: forced": "other than 'auto' or 'none'",
    "text.format": "other than 'text'",
    "parallel_tool_calls": "false",
    "response_format": "other than 'text'",
    "best_of": "above 'n'",
    "logprobs: 0": "0",
}


def check_fit(path: str, found: Peek, name: str, status: ReplicaStatus, others: Mapping[str, Deployment]) -> None:
    """Raises NotFoundError for a path, BadRequestError for a field. `others`: who may serve that path instead."""
    if status.paths and path not in status.paths:
        raise NotFoundError(_not_served(path, name, status, others), param="model", code="path_not_served")
    ignores = status.traits.ignores
    if ignores:
        for asked in found.special():
            if asked in ignores:
                field = asked.partition(":")[0]
                value = f" {_WITH_VALUES[asked]}" if asked in _WITH_VALUES else ""
                raise BadRequestError(
                    f"Unsupported parameter: '{field}'{value} is nothing that {status.traits.engine}, the engine of "
                    f"{name}, heeds: leave it out, or ask a model on another engine.",
                    param=field,
                    code="unsupported_parameter",
                )


def _not_served(path: str, name: str, status: ReplicaStatus, others: Mapping[str, Deployment]) -> str:
    serving = [
        each for each in others.values() if any(path in replica.status.paths for replica in each.replicas.values())
    ]
    instead = "no deployment does; one with engine command or remote may, by its `paths`"
    if serving:
        instead = ", ".join(_described(each) for each in serving) + (" does" if len(serving) == 1 else " do")
    engine = f" ({status.traits.engine})" if status.traits.engine else ""
    return f"{name}{engine} serves {', '.join(status.paths)}, not {path}: {instead}."


def _described(deployment: Deployment) -> str:
    engine = next(iter(deployment.replicas.values())).status.traits.engine
    return f"{deployment.record.name} ({engine})" if engine else deployment.record.name
