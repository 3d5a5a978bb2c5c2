"""Why a replica can run nowhere, and what would fit: one sentence. Pure; reads the books, changes none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from argosy.devices.device import Device
from argosy.engines.memory import gib
from argosy.fleet.rooms import GpuRoom, NodeRoom
from argosy.fleet.wishes import Wish

_SHOWN = 8  # GPUs of a sentence
_PARTS = "the plan gives out whole GPUs; name a part instead (argosy devices): `env: {CUDA_VISIBLE_DEVICES: MIG-…}`"


@dataclass(frozen=True)
class Refusals:
    rooms: Sequence[NodeRoom]

    def gpus(self, wish: Wish) -> str:
        gpus = [gpu for node in self.rooms for gpu in node.gpus]
        if not gpus:
            if split := self._split():
                return f"{wish.replica} wants a GPU, and split by MIG are {_labels(split)}: {_PARTS}"
            why = next((node.info.why_no_gpu for node in self.rooms if node.info.why_no_gpu), "no node has one")
            return f"{wish.replica} wants a GPU: {why}; `device: cpu` serves it without one"
        if wish.pins is not None:
            return self._pinned(wish, wish.pins)
        counts = wish.counts(max(len(node.gpus) for node in self.rooms))
        largest = max(self.rooms, key=lambda node: len(node.gpus))
        if wish.gpus is not None and wish.gpus > len(largest.gpus):
            return f"{wish.replica} wants {wish.gpus} GPUs, and {largest.info.name} has {len(largest.gpus)}"
        most = counts[-1]
        emptiest = sorted(gpus, key=lambda gpu: (-gpu.left_bytes, gpu.order))
        size = wish.bytes_of(emptiest[0].device.memory_bytes, most)
        if size is None:
            return (
                f"{wish.replica} wants a GPU of its own while the size of its weights is not known (`argosy pull`, or "
                f"memory_fraction, tells it), and each has somebody on it: {self._left(emptiest)}"
            )
        of = "GPU" if most == 1 else f"{most} GPUs"
        each = "" if most == 1 else " of each"
        return (
            f"{wish.replica} needs {gib(size)} GiB{each} of {of}{self._parts(wish, most)}; left are "
            f"{self._left(emptiest)}{self._fits(wish, self._emptiest(counts))}"
        )

    def memory(self, wish: Wish) -> str:
        """Of the nodes' own."""
        need = wish.memory
        assert need is not None, "what nobody knows is not refused"
        node = max(self.rooms, key=lambda each: (each.left_bytes or 0) - each.wants(need))
        left = max(0, node.left_bytes or 0)
        shared = ", the weights being there already," if node.has(need) else ""
        others = ", ".join(f"{name} {gib(size)}" for name, size in node.holders.items() if size)
        beside = f" beside what others need ({others})" if others else ""
        fits = need.what_fits(left, weights_are_here=node.has(need))
        return (
            f"{wish.replica} needs at least {need}{shared} and {gib(left)} GiB are available here{beside}: {fits} "
            "(check_memory: false starts it all the same)"
        )

    def _pinned(self, wish: Wish, pins: tuple[int, ...]) -> str:
        there = {gpu.device.index: gpu for node in self.rooms for gpu in node.gpus}
        if split := [each for each in self._split() if each.index in pins]:
            return f"{wish.replica} is pinned to {_labels(split)}, split by MIG: {_PARTS}"
        if missing := [index for index in pins if index not in there]:
            known = ", ".join(gpu.device.label for gpu in list(there.values())[:_SHOWN])
            more = "" if len(there) <= _SHOWN else f" and {len(there) - _SHOWN} more"
            named = ", ".join(f"gpu{index}" for index in missing)
            return f"{wish.replica} is pinned to {named}, and there is none: {known}{more} are (argosy devices)"
        count = len(pins)
        for room in (there[index] for index in pins):
            size = wish.bytes_of(room.device.memory_bytes, count)
            if size is None or size > room.left_bytes:
                needs = "a GPU of its own, its size not being known," if size is None else f"{gib(size)} GiB"
                free = [gpu for gpu in there.values() if size is not None and size <= gpu.left_bytes]
                instead = f"; {_labels([each.device for each in free])} would hold it" if free and count == 1 else ""
                fits = instead or self._fits(wish, [[there[index] for index in pins]])
                return (
                    f"{wish.replica} is pinned to {room.device.label} and needs {needs}{self._parts(wish, count)} of "
                    f"it; left are {self._left([room])}{fits}"
                )
        return f"{wish.replica}: no node has all of {', '.join(f'gpu{index}' for index in pins)}"

    def _split(self) -> list[Device]:
        return [device for node in self.rooms for device in node.info.devices if device.mig]

    def _emptiest(self, counts: Sequence[int]) -> list[list[GpuRoom]]:
        """Of each node, for each number of GPUs that it has."""
        found = []
        for node in self.rooms:
            ranked = sorted(node.gpus, key=lambda gpu: -gpu.left_bytes)
            found += [ranked[:count] for count in counts if count <= len(ranked)]
        return found

    def _left(self, rooms: Sequence[GpuRoom]) -> str:
        said = []
        for room in rooms[:_SHOWN]:
            holders = [f"{name} {gib(size)}" for name, size in room.holders.items()]
            holders += [f"others {gib(room.others_bytes)}"] if room.others_bytes else []
            beside = f" beside {', '.join(holders[:_SHOWN])}" if holders else ""
            where = f"{room.node}'s " if len(self.rooms) > 1 else ""
            said.append(
                f"{gib(max(0, room.left_bytes))} of {gib(room.limit_bytes)} on {where}{room.device.label}{beside}"
            )
        more = f", and less on {len(rooms) - _SHOWN} more" if len(rooms) > _SHOWN else ""
        return f"{', '.join(said)}{more}"

    def _parts(self, wish: Wish, gpus: int) -> str:
        if wish.fraction is not None:
            return f" (memory_fraction {wish.fraction:g})"
        return "" if wish.memory is None else f" ({wish.memory.gpu_parts(gpus)})"

    def _fits(self, wish: Wish, groups: Sequence[Sequence[GpuRoom]]) -> str:
        """`groups`: GPUs that it could have together; it takes as much of each as of the one with the least left."""
        if wish.fraction is not None:
            fits = max(min(room.left_bytes / room.device.memory_bytes for room in group) for group in groups)
            return f"; would fit: memory_fraction {int(fits * 100) / 100:g}" if fits >= 0.01 else ""
        if (need := wish.memory) is None:
            return ""
        lefts = [len(group) * (min(room.left_bytes for room in group) - need.gpu_overhead_bytes) for group in groups]
        return f"; {need.what_fits(max(0, *lefts))}"


def _labels(devices: Sequence[Device]) -> str:
    more = f" and {len(devices) - _SHOWN} more" if len(devices) > _SHOWN else ""
    return f"{', '.join(each.label for each in devices[:_SHOWN])}{more}"
