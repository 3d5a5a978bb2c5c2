"""Which two models meet, and on which sides. Pure: chance is passed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def draw(weights: Mapping[str, float], chance: Callable[[], float]) -> tuple[str, str]:
    """Sides a and b, of two models at least: never the same twice, each in proportion to its weight.

    `chance`: a number from 0 to below 1, three times. The last is a coin for the sides: who is drawn first is more
    often the heavier one, and what stands on the left gets more votes than it should.
    """
    first = _one(weights, chance())
    second = _one({name: weight for name, weight in weights.items() if name != first}, chance())
    return (first, second) if chance() < 0.5 else (second, first)


def _one(weights: Mapping[str, float], share: float) -> str:
    left = share * sum(weights.values())
    for name, weight in weights.items():
        left -= weight
        if left < 0:
            return name
    return name  # what rounding left over
