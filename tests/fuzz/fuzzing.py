"""How long inputs are drawn and played: ARGOSY_FUZZ_SECONDS in all, which the tests share. Keeps what fails."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from case import Case, keep
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy
from live import LiveDoor

LONG = os.environ.get("ARGOSY_FUZZ_SECONDS")
SECONDS = float(LONG or 80)
# Who gives it time wants inputs that nobody has seen; without, the same code is asked the same.
FIRST_SEED = time.time_ns() % (1 << 40) if LONG else 0
EACH_ROUND = 60  # inputs
WARM_UP_ROUNDS = 3
GROWTH_MIB = 16.0  # of the gateway, from there to the end


def fuzz(door: LiveDoor, name: str, drawn: SearchStrategy[Any], play: Callable[[Any], None], *, share: float) -> None:
    """Plays what is drawn for a share of the time; the gateway's memory stays level, no line and no lease is left."""
    until, number, level = time.monotonic() + SECONDS * share, 0, 0.0
    while number <= WARM_UP_ROUNDS or time.monotonic() < until:
        _round(FIRST_SEED + number, drawn, play)
        number += 1
        if number == WARM_UP_ROUNDS:
            level = door.memory_mib()
    door.settle()
    assert door.waiting() == 0
    grown = door.memory_mib() - level
    print(f"{name}: {number * EACH_ROUND} inputs, seeds from {FIRST_SEED}, memory {level:.1f} {grown:+.1f} MiB")
    assert grown < GROWTH_MIB, f"the gateway grew by {grown:.1f} MiB over {number * EACH_ROUND} inputs"


def fuzz_cases(door: LiveDoor, name: str, drawn: SearchStrategy[Case], *, share: float) -> None:
    """The same with cases; one that fails is shrunk and kept."""

    def play(case: Case) -> None:
        try:
            door.play(case)
        except AssertionError as error:
            error.add_note(f"kept as {keep(case, name)}")
            raise

    fuzz(door, name, drawn, play, share=share)


def _round(number: int, drawn: SearchStrategy[Any], play: Callable[[Any], None]) -> None:
    @seed(number)
    @settings(
        max_examples=EACH_ROUND,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(drawn)
    def each(given_: Any) -> None:
        play(given_)

    each()
