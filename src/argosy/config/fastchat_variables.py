"""FastChat's environment variables, which people's scripts still set: what each does here, and what replaces it. Pure.

What a fleet file says itself always wins over them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from argosy.config.schema import Timeouts
from argosy.errors import InputError

TIMEOUT = "FASTCHAT_WORKER_API_TIMEOUT"
BATCH = "FASTCHAT_WORKER_API_EMBEDDING_BATCH_SIZE"
_NOTES = {
    TIMEOUT: "is taken for timeouts.first_token and timeouts.idle of every deployment that sets none: write them there",
    BATCH: "is taken for embedding_batch of every deployment of task embed that sets none: write it there",
    "FASTCHAT_USE_MODELSCOPE": "where it says true, is taken for ARGOSY_SOURCES=modelscope,hf,https,pypi: set that; a "
    "repository of ModelScope is the source modelscope:org/repo",
    "FASTCHAT_CONTROLLER_HEART_BEAT_EXPIRATION": "does nothing: a worker that is silent for 3 seconds gets no "
    "requests, and there is no setting for it",
    "FASTCHAT_WORKER_HEART_BEAT_INTERVAL": "does nothing: workers tell of themselves once a second, and there is no "
    "setting for it",
    "LOGDIR": "does nothing: logs lie in ARGOSY_HOME/fleets/NAME/logs, and `argosy logs` shows them",
    "SSL_CERTFILE": "does nothing (FastChat wants --ssl for it): write gateway.tls_certificate into the fleet file",
    "SSL_KEYFILE": "does nothing (FastChat wants --ssl for it): write gateway.tls_key into the fleet file",
}


def notes(variables: Mapping[str, str]) -> list[str]:
    """A line for each one that is set."""
    return [f"{name}, FastChat's, {note}" for name, note in _NOTES.items() if variables.get(name, "").strip()]


def fill(data: dict[str, Any], variables: Mapping[str, str]) -> None:
    """Writes into a fleet file's data what they say and it does not. Raises InputError for one that is no number."""
    seconds, batch = _number(variables, TIMEOUT), _number(variables, BATCH)
    deployments = data.get("deployments")
    if not isinstance(deployments, dict):
        return
    for deployment in deployments.values():
        if isinstance(deployment, dict):
            if seconds is not None:
                _limit(deployment, seconds)
            if batch is not None and deployment.get("task") == "embed" and deployment.get("embedding_batch") is None:
                deployment["embedding_batch"] = max(1, round(batch))


def _limit(deployment: dict[str, Any], seconds: float) -> None:
    """FastChat gives every answer so long to begin and to go on, not to end."""
    given = deployment.get("timeouts")
    if given is not None and not isinstance(given, dict):
        return  # a fault, which is told
    timeouts = dict(given or {})
    total = timeouts.get("total")
    if total is None:
        total = Timeouts().total
        if seconds > total:
            total = timeouts["total"] = seconds
    if isinstance(total, int | float):
        for field in ("first_token", "idle"):
            if timeouts.get(field) is None:
                timeouts[field] = min(seconds, total)
    deployment["timeouts"] = timeouts


def _number(variables: Mapping[str, str], name: str) -> float | None:
    given = variables.get(name, "").strip()
    if not given:
        return None
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"the environment variable {name} is {given!r}, not a number above 0: unset it, or mend it")
    return value
