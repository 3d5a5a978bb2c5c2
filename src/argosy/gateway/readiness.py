"""A deployment's state in one word, as /ready and the page tell it. Pure."""

from __future__ import annotations

from argosy.registry.records import Deployment
from argosy.registry.registry import Registry

SETTLED = ("ready", "degraded", "backoff", "failed", "stopped")  # it has come up, or will not by itself
SERVING = ("ready", "degraded")


def state_of(registry: Registry, deployment: Deployment) -> str:
    """One of SETTLED, or starting."""
    if deployment.record.stopped:
        return "stopped"
    if len(deployment.routable) >= deployment.record.replicas:
        return "ready"
    if not registry.settled(deployment):
        return "starting"
    if deployment.routable:
        return "degraded"
    return "failed" if registry.given_up(deployment) else "backoff"
