"""Affinity over simulated traffic: the dispatcher's memory, the policy, and replicas that take longer for what they do
not have in their cache, and the longer the busier they are."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from statistics import fmean

import pytest

from argosy.dispatch.policies import NOTHING, POLICIES
from argosy.dispatch.prefixes import Beginning, Prefixes
from argosy.protocol.replica import ReplicaState, ReplicaStatus
from argosy.registry.records import Replica

PROMPT_BLOCKS = 6
SEEDS = range(20)


@dataclass(frozen=True)
class Outcome:
    seconds: float
    read: int  # prompts that a replica had to read whole
    above_mean: float  # the most that one replica had in flight above the mean


def simulated(policy: str, replicas: int, clients: int, turns: int, seed: int, *, one_prompt: bool = False) -> Outcome:
    """Each client asks `turns` times, a while after each answer; its prompt is its own and grows with every turn, or is
    the same for all."""
    draw = random.Random(seed)
    status = ReplicaStatus(id="m.0", generation=1, epoch=1, state=ReplicaState.READY, since=0)
    fleet = [Replica(f"m.{index}", "m", status) for index in range(replicas)]
    prefixes, now, turn, read, above = Prefixes(), 0.0, 0, 0, 0.0
    given: dict[int, Beginning] = {}
    line: list[tuple[float, int, int, Replica | None]] = [(0.0, client, 0, None) for client in range(clients)]
    heapq.heapify(line)
    while line:
        now, client, asked, ends_at = heapq.heappop(line)
        if ends_at is not None:
            ends_at.in_flight -= 1
            prefixes.note(given[client], ends_at, {each.id: each for each in fleet})
            if asked < turns:
                heapq.heappush(line, (now + draw.expovariate(1), client, asked, None))
            continue
        marks = [hash((0 if one_prompt else client + 1, block)) for block in range(PROMPT_BLOCKS)]
        beginning = Beginning([*marks, *(hash((client, "turn", each)) for each in range(0 if one_prompt else asked))])
        hint = prefixes.hint(beginning, fleet)
        chosen = POLICIES[policy](fleet, hint if policy == "affinity" else NOTHING, draw.random())
        assert isinstance(chosen, Replica)
        cached = bool(hint.known) and hint.known[fleet.index(chosen)] >= PROMPT_BLOCKS
        read += not cached
        given[client] = beginning
        turn += 1
        chosen.turn, chosen.in_flight = turn, chosen.in_flight + 1
        above = max(above, chosen.in_flight - fmean(each.in_flight for each in fleet))
        takes = (1 if cached else 10) * chosen.in_flight**0.5 * draw.uniform(0.7, 1.3)
        heapq.heappush(line, (now + takes, client, asked + 1, chosen))
    return Outcome(now, read, above)


@pytest.mark.parametrize(("replicas", "clients", "turns"), [(2, 6, 4), (4, 20, 20), (8, 40, 20)])
def test_conversations_are_read_once_and_nobody_is_swamped(replicas: int, clients: int, turns: int) -> None:
    found = [simulated("affinity", replicas, clients, turns, seed) for seed in SEEDS]
    scattered = [simulated("round_robin", replicas, clients, turns, seed) for seed in SEEDS]
    assert fmean(each.read for each in found) < 1.1 * clients
    assert fmean(each.read for each in scattered) > 1.8 * clients
    assert fmean(each.seconds for each in scattered) > 1.5 * fmean(each.seconds for each in found)
    assert max(each.above_mean for each in found) < 5


@pytest.mark.parametrize("clients", [2, 3, 6, 16])
def test_one_prompt_that_everybody_shares_is_served_as_by_least_in_flight(clients: int) -> None:
    found, even = (
        fmean(simulated(policy, 2, clients, 20, seed, one_prompt=True).seconds for seed in SEEDS)
        for policy in ("affinity", "least_in_flight")
    )
    assert found < 1.03 * even
