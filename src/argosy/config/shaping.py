"""From a deployment's fields to what the gateway does to its requests. Pure; gateway/shaping.py does it."""

from __future__ import annotations

from argosy.config.schema import DEFAULT_MAX_TOKENS, Deployment
from argosy.protocol.deployment import Shaping
from argosy.protocol.openai import BOUNDS


def shaping_of(deployment: Deployment) -> Shaping | None:
    """None where requests stay as they are."""
    defaults = {field: value for field, value in deployment.defaults.items() if value is not None}
    bound = next((field for field in BOUNDS if field in deployment.defaults), None)
    max_tokens = deployment.max_tokens_ceiling
    if bound is not None and bound in defaults:
        max_tokens = defaults.pop(bound)
    elif bound is None and max_tokens is None and deployment.task == "generate" and deployment.engine_name != "remote":
        max_tokens = DEFAULT_MAX_TOKENS
    shaping = Shaping(
        defaults=defaults,
        max_tokens=max_tokens,
        bound=bound or "max_tokens",
        ceiling=deployment.max_tokens_ceiling,
        system_prompt=deployment.system_prompt,
    )
    return None if shaping == Shaping(bound=shaping.bound) else shaping
