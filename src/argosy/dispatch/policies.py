"""Rules that choose among the replicas that could take a request now. Pure: they see values and decide.

A replica's load is its requests in flight by its weight: one of weight 2 has twice as many before it is as busy. What
the dispatcher remembers for a policy comes to it in the hint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

# Of `affinity`: how far above its fair share a busy replica is still given what it knows. A quarter, and a few requests
# more, so that few of them are not scattered by chance.
OVER_SHARE = 1.25
SLACK_NOW = 2  # in flight: two conversations there do not drive out a third, while another replica has none
SLACK_LATELY = 4  # of late: what everybody shares is soon tried elsewhere


class Candidate(Protocol):
    """What a policy may look at."""

    @property
    def in_flight(self) -> int: ...
    @property
    def turn(self) -> int:
        """Of its last lease: the lowest has been idle the longest."""
        ...

    @property
    def weight(self) -> float:
        """Its share of the requests beside the others', above 0."""
        ...


C = TypeVar("C", bound=Candidate)


class Hint(NamedTuple):
    """What is known of the request, for each candidate in turn; NOTHING where no candidate knows anything of it, or the
    policy wants no memory."""

    known: Sequence[int] = ()  # how many blocks of its beginning the candidate was given before
    lately: Sequence[float] = ()  # requests that the candidate was given of late


NOTHING = Hint()


def least_in_flight(candidates: Sequence[C], hint: Hint, draw: float) -> C:
    """The one with the least load; among equals the longest idle."""
    best, least = candidates[0], math.inf
    for candidate in candidates:  # by hand: min with a key costs a microsecond more on every request
        load = candidate.in_flight / candidate.weight
        if load < least or (load == least and candidate.turn < best.turn):
            best, least = candidate, load
    return best


def two_choices(candidates: Sequence[C], hint: Hint, draw: float) -> C:
    """Two by chance, and of these the one with the least load: where several gateways share the replicas, none of them
    knowing the others' requests, they do not all run to the same one. `draw` is uniform in [0, 1)."""
    count = len(candidates)
    if count <= 2:
        return least_in_flight(candidates, hint, draw)
    first, second = divmod(int(draw * count * (count - 1)), count - 1)
    return least_in_flight((candidates[first], candidates[second + (second >= first)]), hint, draw)


def affinity(candidates: Sequence[C], hint: Hint, draw: float) -> C:
    """The one that was given the most of this beginning before, as its cache may still have it; among equals the one
    with the least load. Where another one is less busy, it must not be above its share, neither now nor of late: what
    everybody shares is so known everywhere soon, and conversations are spread evenly. Else least_in_flight."""
    if not hint.known:
        return least_in_flight(candidates, hint, draw)
    loads = [candidate.in_flight / candidate.weight for candidate in candidates]
    lightest = min(loads)
    bounds: tuple[float, float] | None = None  # of requests now and of late, by weight: seldom asked for
    best: C | None = None
    most, least, turn = 1, math.inf, 0
    for candidate, load, known, lately in zip(candidates, loads, hint.known, hint.lately, strict=True):
        if known < most:
            continue
        if load > lightest:
            if bounds is None:
                bounds = _fair_shares(candidates, hint)
            now_each, lately_each = bounds
            weight = candidate.weight
            if (
                candidate.in_flight + 1 > now_each * weight + SLACK_NOW
                or lately + 1 > lately_each * weight + SLACK_LATELY
            ):
                continue
        if known > most or load < least or (load == least and candidate.turn < turn):
            best, most, least, turn = candidate, known, load, candidate.turn
    return best if best is not None else least_in_flight(candidates, hint, draw)


def _fair_shares(candidates: Sequence[Candidate], hint: Hint) -> tuple[float, float]:
    """How many requests a replica of weight 1 may have now and may have been given of late, with this one."""
    weights = sum(candidate.weight for candidate in candidates)
    running = sum(candidate.in_flight for candidate in candidates) + 1
    return OVER_SHARE * running / weights, OVER_SHARE * (sum(hint.lately) + 1) / weights


def round_robin(candidates: Sequence[C], hint: Hint, draw: float) -> C:
    """Each in turn: the one whose last turn is the longest ago."""
    return min(candidates, key=lambda candidate: candidate.turn)


def weighted_lottery(candidates: Sequence[C], hint: Hint, draw: float) -> C:
    """By chance, in proportion to weights. `draw` is uniform in [0, 1)."""
    point = draw * sum(candidate.weight for candidate in candidates)
    for candidate in candidates:
        point -= candidate.weight
        if point < 0:
            return candidate
    return candidates[-1]  # rounding


Policy = Callable[[Sequence[C], Hint, float], C]
POLICIES: Mapping[str, Callable[..., Candidate]] = {
    "affinity": affinity,
    "least_in_flight": least_in_flight,
    "round_robin": round_robin,
    "two_choices": two_choices,
    "weighted_lottery": weighted_lottery,
}
REMEMBERING = frozenset({"affinity"})  # policies that want the hint
