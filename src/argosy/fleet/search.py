"""Where so many GPUs are that would hold a replica, the best of them. Reads the books of placement; writes none.

It is asked for each of a thousand replicas and looks at each of a hundred nodes: what it found on a node it keeps until
that node's books change, and the look itself is kept lean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from argosy.fleet.rooms import GpuRoom, NodeRoom
from argosy.fleet.wishes import Wish


class Option(NamedTuple):
    """GPUs of one node. The lowest rank is taken: where it stands now, since a start elsewhere may have to wait for
    others to leave; where the fewest of its deployment are; where the least is left over, or the most for those that
    fill it."""

    away: bool
    beside: int  # replicas of its deployment on these GPUs
    on_node: int
    left_bytes: int
    node: str
    indices: tuple[int, ...]


@dataclass
class Search:
    nodes: Sequence[NodeRoom]
    _found: dict[object, dict[str, tuple[int, Option | None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_name = {node.info.name: node for node in self.nodes}
        self._sizes = sorted({gpu.size_bytes for node in self.nodes for gpu in node.gpus})

    def best(self, wish: Wish, count: int) -> list[GpuRoom] | None:
        """GPUs of one node for it, in the order in which it will see them; None where no node has so many."""
        asked = _Asked.of(wish, count, self._sizes)
        # To a node that has none of its deployment, all that need as much are the same.
        alike = self._found.setdefault(asked, {})
        own = self._found.setdefault((asked, wish.deployment), {})
        standing = wish.standing
        here = standing.node if standing is not None and standing.devices else None
        best: Option | None = None
        for name, node in self._by_name.items():
            if name == here and standing is not None:
                option = _option(node, asked, wish.deployment, frozenset(each.index for each in standing.devices or ()))
            else:
                known = own if wish.deployment in node.on_gpus else alike
                at = known.get(name)
                if at is None or at[0] != node.changes:
                    at = known[name] = (node.changes, _option(node, asked, wish.deployment, frozenset()))
                option = at[1]
            if option is not None and (best is None or option < best):
                best = option
        if best is None:
            return None
        rooms = {gpu.index: gpu for gpu in self._by_name[best.node].gpus}
        return [rooms[index] for index in best.indices]


class _Asked(NamedTuple):
    """All of a wish that decides which GPUs would do, besides its deployment."""

    gpus: int
    pins: tuple[int, ...] | None
    needs: tuple[tuple[int, int | None], ...]  # of a GPU of so many bytes
    checked: bool
    emptiest: bool  # the most left instead of the least

    @classmethod
    def of(cls, wish: Wish, count: int, sizes: Sequence[int]) -> _Asked:
        needs = tuple((size, wish.bytes_of(size, count)) for size in sizes)
        return cls(count, wish.pins, needs, wish.checked, wish.fills or not wish.checked)


def _option(node: NodeRoom, asked: _Asked, deployment: str, home: frozenset[int]) -> Option | None:
    """`home`: GPUs of this node that it stands on now."""
    fitting = _fitting(node, asked)
    if len(fitting) < asked.gpus:
        return None
    on_node = node.on_gpus.get(deployment, 0)
    if asked.pins is not None:
        rooms = {gpu.index: gpu for gpu in fitting}
        if any(index not in rooms for index in asked.pins):
            return None
        beside = sum(rooms[index].deployments.get(deployment, 0) for index in asked.pins)
        return Option(
            away=not home, beside=beside, on_node=on_node, left_bytes=0, node=node.info.name, indices=asked.pins
        )
    sign = -1 if asked.emptiest else 1
    ranked = [
        (gpu.index not in home, gpu.deployments.get(deployment, 0) if on_node else 0, sign * gpu.left_bytes, gpu.index)
        for gpu in fitting
    ]
    chosen = [min(ranked)] if asked.gpus == 1 else sorted(ranked)[: asked.gpus]
    return Option(
        away=any(away for away, _, _, _ in chosen),
        beside=sum(beside for _, beside, _, _ in chosen),
        on_node=on_node,
        left_bytes=chosen[-1][2],
        node=node.info.name,
        indices=tuple(sorted(index for _, _, _, index in chosen)),
    )


def _fitting(node: NodeRoom, asked: _Asked) -> list[GpuRoom]:
    if not asked.checked:
        return node.gpus
    needs = dict(asked.needs)
    if None in needs.values():
        # What nobody knows gets a GPU of its own, else it might be given what another takes; unless it is told where.
        return [gpu for gpu in node.gpus if gpu.left_bytes > 0 and (asked.pins is not None or not gpu.holders)]
    return [gpu for gpu in node.gpus if gpu.left_bytes >= (needs[gpu.size_bytes] or 0)]
