"""Who finds room in a machine's memory. Figures are GiB, made bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.engines.memory import MemoryNeed
from argosy.processes.identity import ProcessIdentity
from argosy.state import write_json
from argosy.worker.reservations import Claim, NoRoomError, Reservation, Reservations, Room

GIB = 1024**3
OURS = ProcessIdentity.own()


def held(replica: str, *, weights: str = "other.gguf", size: float = 0, cache: float = 0) -> Reservation:
    return Reservation(
        replica=replica, worker=OURS, weights=weights, weights_bytes=int(size * GIB), cache_bytes=int(cache * GIB)
    )


def claim(replica: str = "o.0", *, taken: float = 0, **fields: float | str) -> Claim:
    return Claim(held(replica, **fields), int(taken * GIB))  # type: ignore[arg-type]


def left(available: float, *claims: Claim, weights: str = "mine.gguf") -> float:
    return Room.of(weights, int(available * GIB), claims).left_bytes / GIB


def need(size: float, cache: float = 0, *, slots: int = 4) -> MemoryNeed:
    """A cache of 1 GiB for 8192 tokens."""
    return MemoryNeed("mine.gguf", int(size * GIB), 128 * 1024, int(cache * 8192 / slots), slots)


def test_alone_all_that_is_available_is_there() -> None:
    assert left(8) == 8


def test_what_a_starting_engine_has_not_taken_yet_is_not_there() -> None:
    assert left(8, claim(size=3, cache=2)) == 3


def test_what_it_has_taken_the_kernel_no_longer_calls_available() -> None:
    assert left(8, claim(size=3, cache=2, taken=1)) == 4


def test_mapped_weights_of_a_running_engine_are_not_there_though_the_kernel_says_so() -> None:
    assert left(8, claim(size=3, cache=2, taken=2)) == 5


def test_an_engine_that_made_a_copy_of_its_weights_has_mapped_nothing_that_it_needs() -> None:
    assert left(8, claim(size=3, cache=2, taken=5)) == 8


def test_replicas_of_the_same_weights_share_their_pages() -> None:
    assert left(8, claim("o.0", size=3, cache=1), claim("o.1", size=3, cache=1)) == 3
    room = Room.of("mine.gguf", 8 * GIB, [claim(weights="mine.gguf", size=3, cache=1, taken=1)])
    assert (room.left_bytes / GIB, room.weights_are_here) == (5, True)
    room.check(need(3, 5), 100 * GIB)
    with pytest.raises(NoRoomError, match=r"weights being there already, and 5\.0 GiB are available"):
        room.check(need(3, 5.5), 100 * GIB)


def test_where_the_other_made_a_copy_so_will_this_one() -> None:
    room = Room.of("mine.gguf", 8 * GIB, [claim(weights="mine.gguf", size=3, cache=1, taken=4)])
    assert not room.weights_are_here


def test_too_little_is_told_with_all_numbers_and_what_would_fit() -> None:
    room = Room.of("mine.gguf", 8 * GIB, [claim("o.0", size=1, cache=2), claim("p.1", weights="p", size=0.5)])
    with pytest.raises(NoRoomError) as told:
        room.check(need(4, 4), 16 * GIB)
    assert str(told.value) == (
        "needs at least 8.0 GiB of memory (weights 4.0, cache 4.0) and 4.5 GiB are available here, beside what other "
        "replicas are to take or have mapped (o.0 3.0, p.1 0.50): would fit: context 1024 with 4 slots, or "
        "context 4096 with 1 slot; or stop something else (check_memory: false starts it all the same)"
    )
    assert not told.value.permanent


def test_what_the_whole_machine_cannot_hold_never_fits() -> None:
    with pytest.raises(NoRoomError) as told:
        Room.of("mine.gguf", 8 * GIB, []).check(need(4, 13), 16 * GIB)
    assert told.value.permanent
    assert "stop something else" not in str(told.value)


@pytest.fixture
def reservations(tmp_path: Path) -> Reservations:
    return Reservations(tmp_path / "memory", "demo")


def test_two_that_start_together_do_not_both_get_the_same_memory(reservations: Reservations) -> None:
    mine = MemoryNeed("a.gguf", 3 * GIB)
    other = MemoryNeed("b.gguf", 3 * GIB)
    with (
        reservations.reserved("a.0", mine, available_bytes=5 * GIB, limit_bytes=8 * GIB),
        pytest.raises(NoRoomError, match=r"2\.0 GiB are available here, .* \(a\.0 3\.0\)"),
        reservations.reserved("b.0", other, available_bytes=5 * GIB, limit_bytes=8 * GIB),
    ):
        pass
    with reservations.reserved("b.0", other, available_bytes=5 * GIB, limit_bytes=8 * GIB):
        assert [path.name for path in reservations.folder.glob("*.json")] == ["demo@b.0.json"]


def test_replicas_that_copy_their_weights_take_them_each(reservations: Reservations) -> None:
    copies = MemoryNeed("", 3 * GIB)
    with (
        reservations.reserved("a.0", copies, available_bytes=5 * GIB, limit_bytes=8 * GIB),
        pytest.raises(NoRoomError, match=r"2\.0 GiB are available here"),
        reservations.reserved("a.1", copies, available_bytes=5 * GIB, limit_bytes=8 * GIB),
    ):
        pass


def test_a_replica_does_not_stand_in_its_own_way(reservations: Reservations) -> None:
    mine = MemoryNeed("a.gguf", 3 * GIB)
    write_json(reservations.folder / "demo@a.0.json", held("a.0", weights="a.gguf", size=3))
    with reservations.reserved("a.0", mine, available_bytes=3 * GIB, limit_bytes=8 * GIB):
        pass


def test_another_fleets_replica_of_the_same_name_counts(reservations: Reservations) -> None:
    mine, theirs = MemoryNeed("a.gguf", 3 * GIB), MemoryNeed("b.gguf", 1 * GIB)
    with (
        Reservations(reservations.folder, "other").reserved(
            "a.0", theirs, available_bytes=9 * GIB, limit_bytes=9 * GIB
        ),
        pytest.raises(NoRoomError),
        reservations.reserved("a.0", mine, available_bytes=3 * GIB, limit_bytes=9 * GIB),
    ):
        pass


def test_a_dead_workers_reservation_and_one_that_nobody_can_read_are_removed(reservations: Reservations) -> None:
    gone = Reservation(
        replica="x.0", worker=ProcessIdentity(OURS.pid, 1.0), weights="x", weights_bytes=GIB, cache_bytes=GIB
    )
    write_json(reservations.folder / "demo@x.0.json", gone)
    (reservations.folder / "demo@y.0.json").write_text("{")
    with reservations.reserved("a.0", MemoryNeed("a", GIB), available_bytes=GIB, limit_bytes=GIB):
        assert [path.name for path in reservations.folder.glob("*.json")] == ["demo@a.0.json"]
