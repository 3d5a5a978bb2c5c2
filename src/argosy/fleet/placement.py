"""Decides on which node and which GPUs every replica runs, and says why one can run nowhere. Pure.

Who runs as wanted stays. The others are placed the most bound first (pins, then a number of GPUs, then the CPU), among
those the largest: on GPUs that have the fewest of their deployment, and of those where the least is left over. The same
question has the same answer. No GPU is given out beyond its budget (fleet/rooms.py keeps the books).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from argosy.config.schema import Budget
from argosy.engines.memory import MemoryNeed
from argosy.fleet.launcher import NodeInfo
from argosy.fleet.refusals import Refusals
from argosy.fleet.rooms import GpuRoom, NodeRoom, open_rooms
from argosy.fleet.search import Search
from argosy.fleet.wishes import Standing, Wish
from argosy.protocol.replica import AssignedDevice

_STAYS = "it runs there"


@dataclass(frozen=True)
class Place:
    """Where one replica runs. `memory_bytes`: of the node's own memory, where it lies there."""

    node: str
    devices: tuple[AssignedDevice, ...] | None
    why: str
    memory_bytes: int = 0
    anew: bool = False  # it runs there, but with more than it may have now
    need: MemoryNeed | None = None  # what was reckoned with


@dataclass(frozen=True)
class Placement:
    """Replica → where it runs, or why nowhere: each wish is in one of the two."""

    places: Mapping[str, Place]
    refused: Mapping[str, str]


def place(
    wishes: Sequence[Wish], nodes: Sequence[NodeInfo], budget: Budget, *, leaving: Sequence[Standing] = ()
) -> Placement:
    """`leaving`: what runs and is not wished any more: it is counted as gone.

    Those that fill what they are given may have to give some back when that lets all others in: they are then started
    anew with less.
    """
    first = _Attempt(wishes, nodes, budget, leaving).result()
    if not first.refused or not any(wish.fills and wish.standing for wish in wishes):
        return first
    second = _Attempt(wishes, nodes, budget, leaving, shrink=True).result()
    return first if second.refused else second


@dataclass
class _Chosen:
    """GPUs for a replica, before those that fill what is left have got their share."""

    wish: Wish
    rooms: list[GpuRoom]
    budgets: list[int]
    why: str
    grows: bool


@dataclass
class _Attempt:
    wishes: Sequence[Wish]
    nodes: Sequence[NodeInfo]
    budget: Budget
    leaving: Sequence[Standing]
    shrink: bool = False
    _rooms: dict[str, NodeRoom] = field(init=False)
    _gpus: list[GpuRoom] = field(init=False)
    _search: Search = field(init=False)
    _most: int = field(init=False)  # GPUs of the node that has the most
    _chosen: dict[str, _Chosen] = field(init=False, default_factory=dict)
    _places: dict[str, Place] = field(init=False, default_factory=dict)
    _refused: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        standing = [*self.leaving, *(wish.standing for wish in self.wishes if wish.standing is not None)]
        running = [
            (each.node, each.devices) for each in standing if each.alive and each.node is not None and each.devices
        ]
        self._rooms = open_rooms(self.nodes, self.budget, running)
        self._gpus = [gpu for node in self._rooms.values() for gpu in node.gpus]
        self._search = Search(list(self._rooms.values()))
        self._most = max((len(node.gpus) for node in self._rooms.values()), default=0)

    def result(self) -> Placement:
        waiting = sorted((wish for wish in self.wishes if not self._stays(wish)), key=_order)
        for wish in waiting:
            if wish.pins is not None:
                self._place(wish)
        # Before others are placed: of what nobody knows the size, the rest would be all that it gets.
        self._share_the_rest([each for each in self._chosen.values() if each.grows and each.wish.memory is None])
        for wish in waiting:
            if wish.pins is None:
                self._place(wish)
        self._share_the_rest([each for each in self._chosen.values() if each.grows])
        for chosen in self._chosen.values():
            self._places[chosen.wish.replica] = _place_of(chosen)
        return Placement(
            {wish.replica: self._places[wish.replica] for wish in self.wishes if wish.replica in self._places},
            {wish.replica: self._refused[wish.replica] for wish in self.wishes if wish.replica in self._refused},
        )

    def _stays(self, wish: Wish) -> bool:
        """Books what runs as wanted where it is, whoever has taken memory there since."""
        standing = wish.standing
        if standing is None or not (standing.alive and standing.as_wanted) or standing.node not in self._rooms:
            return False
        node = self._rooms[standing.node]
        if not standing.devices:
            sees_too_much = wish.kind == "cpu" and standing.devices is None and bool(node.gpus)
            if wish.kind == "gpu" or sees_too_much:
                return False
            self._put_on_cpu(wish, node, standing.devices, _STAYS)
            return True
        there = {gpu.index: gpu for gpu in node.gpus}
        indices = tuple(each.index for each in standing.devices)
        right = wish.pins in (None, indices) and wish.gpus in (None, len(indices)) and wish.kind in ("gpu", "either")
        if not right or not set(indices) <= there.keys():
            return False
        rooms = [there[index] for index in indices]
        gives_back = self.shrink and wish.fills
        budgets = [each.budget_bytes for each in standing.devices]
        if gives_back or not wish.fills:
            now = [wish.bytes_of(room.size_bytes, len(indices)) for room in rooms]
            # Never more: what it holds beyond its budget shows as somebody else's.
            budgets = [had if new is None else min(had, new) for had, new in zip(budgets, now, strict=True)]
        self._take(wish, rooms, budgets, _STAYS, grows=gives_back and wish.memory is not None)
        return True

    def _place(self, wish: Wish) -> None:
        if wish.kind == "any":
            self._place_on_cpu(wish, devices=None, why="its engine asks for no GPU")
        elif wish.kind == "cpu":
            self._place_on_cpu(wish, devices=(), why="the fleet file says so")
        elif not self._place_on_gpus(wish):
            why_not = Refusals(list(self._rooms.values())).gpus(wish)
            if wish.kind == "gpu":
                self._refused[wish.replica] = why_not
            elif not self._gpus:
                self._place_on_cpu(wish, devices=None, why="there is no GPU")
            else:
                self._place_on_cpu(wish, devices=(), why=f"no GPU has room: {why_not}")

    def _place_on_gpus(self, wish: Wish) -> bool:
        for count in wish.counts(self._most):
            if (rooms := self._search.best(wish, count)) is not None:
                self._choose(wish, rooms)
                return True
        return False

    def _choose(self, wish: Wish, rooms: list[GpuRoom]) -> None:
        budgets, unknown = [], False
        for room in rooms:
            size = wish.bytes_of(room.size_bytes, len(rooms))
            unknown |= size is None
            if size is None:
                size = room.left_bytes if wish.pins is None else 0  # pinned, it gets its share of the rest
            budgets.append(size if wish.checked else max(0, min(size, room.left_bytes)))
        if wish.pins is not None:
            why = "pinned"
        elif unknown:
            why = "its size is not known, so it gets a GPU of its own"
        else:
            why = "the most is left there" if wish.fills else "the least is left over there"
        self._take(wish, rooms, budgets, why, grows=wish.fills and not (unknown and wish.pins is None))

    def _take(self, wish: Wish, rooms: list[GpuRoom], budgets: list[int], why: str, *, grows: bool) -> None:
        for room, size in zip(rooms, budgets, strict=True):
            self._rooms[room.node].give_gpu(room, wish.replica, wish.deployment, size)
        self._chosen[wish.replica] = _Chosen(wish, rooms, budgets, why, grows)

    def _share_the_rest(self, growing: Sequence[_Chosen]) -> None:
        """What is left of a GPU is divided among those on it that fill what they are given; a group of GPUs holds as
        much of each as of the one with the least."""
        guests: dict[tuple[str, int], int] = {}
        for chosen in growing:
            for room in chosen.rooms:
                guests[room.order] = guests.get(room.order, 0) + 1
        shares = {
            chosen.wish.replica: min(max(0, room.left_bytes) // guests[room.order] for room in chosen.rooms)
            for chosen in growing
        }
        for chosen in growing:
            share = shares[chosen.wish.replica]
            chosen.budgets = [size + share for size in chosen.budgets]
            chosen.grows = False
            for room in chosen.rooms:
                self._rooms[room.node].give_gpu(room, chosen.wish.replica, chosen.wish.deployment, share)

    def _place_on_cpu(self, wish: Wish, *, devices: tuple[AssignedDevice, ...] | None, why: str) -> None:
        fitting = [
            node
            for node in self._rooms.values()
            if (need := _in_memory(wish, node, devices)) is None
            or node.left_bytes is None
            or node.wants(need) <= node.left_bytes
        ]
        if not fitting:
            rooms = list(self._rooms.values())
            self._refused[wish.replica] = Refusals(rooms).memory(wish) if rooms else "there is no node to run it on"
            return
        home = wish.standing.node if wish.standing is not None else None
        node = min(
            fitting,
            key=lambda each: (
                each.info.name != home,
                each.deployments[wish.deployment],
                -(each.left_bytes or 0),
                each.info.name,
            ),
        )
        self._put_on_cpu(wish, node, devices, why)

    def _put_on_cpu(self, wish: Wish, node: NodeRoom, devices: tuple[AssignedDevice, ...] | None, why: str) -> None:
        node.give(wish.replica, wish.deployment, _in_memory(wish, node, devices))
        self._places[wish.replica] = Place(node.info.name, devices, why, node.holders[wish.replica], need=wish.memory)


def _in_memory(wish: Wish, node: NodeRoom, devices: tuple[AssignedDevice, ...] | None) -> MemoryNeed | None:
    """What it needs of a node's own memory. Of one that sees GPUs without being given some, nobody knows where it
    lies."""
    return wish.memory if wish.checked and not (devices is None and node.info.has_gpu) else None


def _order(wish: Wish) -> tuple[object, ...]:
    """Pins in the order of the file: no other order would fit more of them. Of the rest the largest first."""
    if wish.pins is not None:
        return (0,)
    rank = {"gpu": 1, "either": 2, "cpu": 3, "any": 4}[wish.kind]
    return (rank, -(wish.gpus or 1), *(-size for size in wish.size), wish.replica)


def _place_of(chosen: _Chosen) -> Place:
    devices = tuple(
        AssignedDevice(
            index=room.device.index,
            uuid=room.device.uuid,
            memory_bytes=room.device.memory_bytes,
            budget_bytes=size,
            simulated=room.device.simulated,
        )
        for room, size in zip(chosen.rooms, chosen.budgets, strict=True)
    )
    standing = chosen.wish.standing
    had = [each.budget_bytes for each in standing.devices or ()] if standing is not None and standing.as_wanted else []
    anew = chosen.wish.fills and sum(chosen.budgets) < sum(had)
    return Place(chosen.rooms[0].node, devices, chosen.why, anew=anew, need=chosen.wish.memory)
