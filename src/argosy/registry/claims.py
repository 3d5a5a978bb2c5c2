"""Whether a worker that was started by hand may serve under the name it claims. Pure rules, told in sentences.

One name is one model: who asks for it must not get another one's answer by chance. Which address a worker has is not
decided here: the gateway calls it back (gateway/joining.py, prober.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from argosy.protocol.replica import ModelIdentity
from argosy.registry.records import Deployment, Replica


def conflict(
    name: str, aliases: Sequence[str], model: ModelIdentity | None, find: Callable[[str], Deployment | None]
) -> str:
    """Why a worker of this deployment may not join; "" where it may. `find`: by name or alias."""
    found = find(name)
    if found is not None and found.record.name != name:
        return f"{name!r} is an alias of {found.record.name} here: give this worker another --name"
    for alias in aliases:
        other = find(alias)
        if other is not None and other.record.name != name:
            return f"{alias!r} already names {other.record.name} here: take it out of --aliases"
    if found is None:
        return ""
    if found.record.stopped:
        return f"{name!r} is stopped here: `argosy start {name}` starts it"
    if any(replica.remote is not None for replica in found.replicas.values()):
        return f"{name!r} is a remote deployment of this gateway: give this worker another --name"
    return misfit(name, model, measure(found.replicas.values()))


def measure(replicas: Iterable[Replica]) -> Replica | None:
    """By whose model others are judged: one of the fleet's own, else who came first of those that may serve."""
    known = [each for each in replicas if each.status.model is not None and not each.status.over]
    own = (each for each in known if not each.status.by_hand)
    first = (each for each in known if not each.refusal)
    return next(own, None) or next(first, None) or next(iter(known), None)


def misfit(name: str, model: ModelIdentity | None, measured: Replica | None) -> str:
    """Why this model may not stand behind a name; "" where it may, or where nothing is known."""
    if model is None or measured is None or measured.status.model is None or model.is_same(measured.status.model):
        return ""
    where = f" on {measured.status.node}" if measured.status.node else ""
    return (
        f"{name!r} is {measured.status.model} here (served by {measured.id}{where}), and this worker's is {model}:"
        f" one name is one model; give this worker another --name{_or_else(model, measured.status.model)}"
    )


def _or_else(model: ModelIdentity, other: ModelIdentity) -> str:
    """Where one of them has not been fetched yet, they may still turn out to be the same."""
    missing = [each.source for each in (model, other) if not (each.weights or each.source.startswith("engine "))]
    if not missing:
        return ""
    return f", or fetch {missing[0]} first (argosy pull): then the weights themselves are compared"
