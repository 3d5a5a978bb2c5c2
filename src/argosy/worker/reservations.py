"""Who on this machine needs how much memory: one file per engine that starts or runs, so that none is counted twice.

The kernel counts as available what a starting engine has not taken yet, and what a running one has mapped: its weights.
Two replicas that look at the same moment would each find room. So an engine's start is preceded by a reservation, made
under a lock, which lasts as long as the engine. One whose worker is gone counts no more and is removed by the next.

Where they lie: state.py.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from argosy.engines.memory import MemoryNeed, gib
from argosy.errors import EngineError
from argosy.processes.identity import ProcessIdentity
from argosy.state import quoted, read_json, write_json


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """What one engine needs at least; its worker is the process that made it."""

    replica: str
    worker: ProcessIdentity
    weights: str
    weights_bytes: int
    cache_bytes: int


@dataclass(frozen=True)
class Claim:
    """Another engine's reservation, and what it has taken of it by now: its own memory, pages of files excepted."""

    reservation: Reservation
    taken_bytes: int

    @property
    def beyond_cache_bytes(self) -> int:
        return max(0, self.taken_bytes - self.reservation.cache_bytes)


class NoRoomError(EngineError):
    """`permanent`: not even with nothing else running. The text says what is there and what would fit."""


@dataclass(frozen=True)
class Room:
    """What one replica finds: `left_bytes` is what is available and nobody else's."""

    left_bytes: int
    others: dict[str, int]  # replica → what it is still to take, or has mapped
    weights_are_here: bool  # another engine has mapped the same weights

    @classmethod
    def of(cls, weights: str, available_bytes: int, claims: Sequence[Claim]) -> Room:
        """For a replica of these weights. Pure.

        Engines of the same weights share their pages, which count once. An engine that made a copy of its own (other
        layouts for other processors) shows it by having taken more than its cache.
        """
        others: dict[str, int] = {}
        copies: dict[str, int] = {}
        for claim in claims:
            held = claim.reservation
            others[held.replica] = max(0, held.cache_bytes - claim.taken_bytes)
            copies[held.weights] = max(copies.get(held.weights, 0), claim.beyond_cache_bytes)
        mapped: set[str] = set()
        for claim in claims:
            held = claim.reservation
            if held.weights not in mapped:
                mapped.add(held.weights)
                others[held.replica] += max(0, held.weights_bytes - copies[held.weights])
        shared = any(
            claim.reservation.weights == weights and copies[weights] < claim.reservation.weights_bytes / 2
            for claim in claims
        )
        return cls(
            available_bytes - sum(others.values()), {name: size for name, size in others.items() if size}, shared
        )

    def check(self, need: MemoryNeed, limit_bytes: int) -> None:
        """Raises NoRoomError."""
        wanted = need.cache_bytes + (0 if self.weights_are_here else need.weights_bytes)
        if wanted <= self.left_bytes:
            return
        left = max(0, self.left_bytes)
        others = ", ".join(f"{name} {gib(size)}" for name, size in self.others.items())
        taken = f", beside what other replicas are to take or have mapped ({others})" if others else ""
        shared = ", the weights being there already," if self.weights_are_here else ""
        fits = need.what_fits(left, weights_are_here=self.weights_are_here)
        never = need.total_bytes > limit_bytes
        cure = "" if never else "; or stop something else"
        raise NoRoomError(
            f"needs at least {need}{shared} and {gib(left)} GiB are available here{taken}: {fits}{cure} "
            "(check_memory: false starts it all the same)",
            permanent=never,
        )


@dataclass(frozen=True)
class Reservations:
    """Those of one ARGOSY_HOME, in its folder `memory`, as a worker of `fleet` adds to them."""

    folder: Path
    fleet: str

    @contextmanager
    def reserved(self, replica: str, need: MemoryNeed, *, available_bytes: int, limit_bytes: int) -> Iterator[None]:
        """Holds a reservation for as long as the engine is there. Raises NoRoomError."""
        own = self.folder / f"{quoted(self.fleet)}@{quoted(replica)}.json"
        weights = need.weights or str(own)  # else its own copy would pass for everybody's
        with self._locked():
            room = Room.of(weights, available_bytes, [claim for path, claim in self._claims() if path != own])
            room.check(need, limit_bytes)
            write_json(
                own,
                Reservation(
                    replica=replica,
                    worker=ProcessIdentity.own(),
                    weights=weights,
                    weights_bytes=need.weights_bytes,
                    cache_bytes=need.cache_bytes,
                ),
            )
        try:
            yield
        finally:
            own.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _claims(self) -> list[tuple[Path, Claim]]:
        found = []
        for path in sorted(self.folder.glob("*.json")):
            reservation = read_json(path, Reservation)
            worker = reservation.worker.process() if reservation is not None else None
            if reservation is None or worker is None:
                path.unlink(missing_ok=True)
            else:
                found.append((path, Claim(reservation, _own_memory_bytes(worker))))
        return found


def _own_memory_bytes(worker: psutil.Process) -> int:
    """Of all processes below: what is theirs alone, as their caches are. Where that is not told, mapped files too."""
    total = 0
    try:
        descendants = worker.children(recursive=True)
    except psutil.NoSuchProcess:
        return 0
    for process in descendants:
        try:
            memory = process.memory_info()
        except psutil.NoSuchProcess:
            continue
        total += memory.rss - getattr(memory, "shared", 0)
    return total
