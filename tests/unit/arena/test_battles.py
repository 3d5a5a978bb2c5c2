"""Battles while they are fought."""

from __future__ import annotations

import pytest

from argosy.arena.battles import LONGEST_SECONDS, Battle, Battles, Side
from argosy.errors import ConflictError, NotFoundError
from fakes import FakeClock


def begun(battles: Battles, owner: str = "me") -> Battle:
    return battles.begin(owner, Side("x", frozenset()), Side("y", frozenset()), None)


def test_ids_cannot_be_guessed() -> None:
    battles = Battles(FakeClock())
    ids = {begun(battles).id for _ in range(100)}
    assert len(ids) == 100
    assert min(map(len, ids)) >= 22


def test_a_battle_is_forgotten_when_nobody_touches_it_for_long() -> None:
    clock = FakeClock()
    battles = Battles(clock)
    old, touched = begun(battles), begun(battles)
    clock.now += LONGEST_SECONDS
    assert battles.find(touched.id, "me") is touched
    clock.now += 1
    with pytest.raises(NotFoundError):
        battles.find(old.id, "me")
    assert battles.find(touched.id, "me") is touched
    begun(battles)
    assert len(battles) == 2


def test_the_one_touched_longest_ago_gives_way_when_there_are_too_many() -> None:
    battles = Battles(FakeClock(), most=2)
    first, second = begun(battles), begun(battles)
    battles.find(first.id, "me")
    begun(battles)
    assert len(battles) == 2
    assert battles.find(first.id, "me") is first
    with pytest.raises(NotFoundError):
        battles.find(second.id, "me")


def test_anothers_battle_is_not_found_in_the_same_words() -> None:
    battles = Battles(FakeClock())
    battle = begun(battles)
    with pytest.raises(NotFoundError) as of_another:
        battles.find(battle.id, "you")
    with pytest.raises(NotFoundError) as of_nobody:
        battles.find("x", "you")
    assert str(of_another.value) == str(of_nobody.value)


def test_both_sides_must_have_answered_the_same_before_a_vote_counts() -> None:
    battle = begun(Battles(FakeClock()))
    a, b = battle.sides.values()
    with pytest.raises(ConflictError, match="answered"):
        battle.check_ready()
    battle.begin(a)
    with pytest.raises(ConflictError, match="still answering"):
        battle.begin(a)
    a.answered(b"1", 1, ())
    with pytest.raises(ConflictError, match="still answering"):
        battle.check_ready()
    a.busy = False
    b.answered(b"2", 1, ())
    battle.check_ready()
    assert battle.void == "The two sides were not asked the same."
    b.answered(b"1", 1, ())
    assert battle.void is None
    b.told = "Qwen"
    assert battle.void == "Side b gave its model away: it said 'Qwen'."
