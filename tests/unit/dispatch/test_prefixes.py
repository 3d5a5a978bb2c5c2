from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from argosy.dispatch.policies import NOTHING
from argosy.dispatch.prefixes import MOST_LEASES, MOST_MARKS, SESSION_BLOCKS, Beginning, Prefixes, beginning_of
from argosy.protocol.endpoints import COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES
from argosy.protocol.replica import ReplicaState, ReplicaStatus
from argosy.registry.records import Replica
from fakes import FakeAsked


def text(size: int, seed: int = 0) -> str:
    return "".join(random.Random(seed).choices("abcdefgh ", k=size))


def chat(*contents: str, before: dict[str, Any] | None = None, **after: Any) -> FakeAsked:
    roles = ("system", "user", "assistant", "user", "assistant", "user")
    messages = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
    return FakeAsked(json.dumps({**(before or {}), "messages": messages, **after}).encode())


def marks(asked: FakeAsked) -> Sequence[int]:
    beginning = beginning_of(asked)
    return beginning.marks if beginning is not None else ()


def begun(asked: FakeAsked) -> Beginning:
    beginning = beginning_of(asked)
    assert beginning is not None
    return beginning


def shared(one: FakeAsked, other: FakeAsked) -> int:
    """Marks that both have, which are their first ones."""
    pairs = zip(marks(one), marks(other), strict=False)
    same = [mine == theirs for mine, theirs in pairs]
    assert same == sorted(same, reverse=True), "a mark is that of all before it too"
    return sum(same)


def replica(index: int = 0, epoch: int = 1) -> Replica:
    return Replica(f"m.{index}", "m", status(index, epoch))


def status(index: int, epoch: int) -> ReplicaStatus:
    return ReplicaStatus(id=f"m.{index}", generation=1, epoch=epoch, state=ReplicaState.READY, since=0)


def known(prefixes: Prefixes, asked: FakeAsked | Beginning, *replicas: Replica) -> Sequence[int]:
    beginning = asked if isinstance(asked, Beginning) else begun(asked)
    return prefixes.hint(beginning, replicas).known or [0] * len(replicas)


# beginnings


def test_a_conversations_next_turn_begins_as_the_last_one() -> None:
    first = chat(text(3100), "why?", model="m", stream=True)
    second = chat(text(3100), "why?", text(600, 1), "and then?", model="m", stream=True)
    assert len(marks(first)) == 3
    assert shared(first, second) == 3
    assert len(marks(second)) == 3
    assert len(marks(chat(text(3100), "why?", text(1200, 1), "and then?"))) == 4


def test_who_begins_otherwise_shares_nothing() -> None:
    assert shared(chat(text(3100, 1)), chat(text(3100, 2))) == 0


@pytest.mark.parametrize("at", [0, 300, 700, 960])
def test_in_its_first_part_every_byte_counts(at: int) -> None:
    system = text(3100)
    other = system[:at] + "X" + system[at + 1 :]
    assert shared(chat(system), chat(other)) == (at + len('"messages": [{"role": "system", "content": "')) // 512


def test_what_stands_before_the_messages_changes_nothing() -> None:
    system = text(3100)
    assert shared(chat(system), chat(system, before={"model": "m", "temperature": 0.5})) == 3


def test_what_follows_the_messages_is_only_in_the_last_marks() -> None:
    system = text(3100)
    assert shared(chat(system, tools=text(2000, 1)), chat(system, tools=text(2000, 2))) == 3


def test_a_text_that_speaks_of_messages_is_not_taken_for_them() -> None:
    metadata = {"metadata": {"note": 'her "messages": [] were read'}}
    assert shared(chat(text(3100)), chat(text(3100), before=metadata)) == 3


def test_of_a_very_long_prompt_only_its_beginning_is_looked_at() -> None:
    assert len(marks(chat(text(1_000_000)))) == len(marks(chat(text(33_000)))) == 7


@pytest.mark.parametrize(
    ("path", "field"), [(COMPLETIONS, "prompt"), (RESPONSES, "input"), (MESSAGES, "messages"), (EMBEDDINGS, None)]
)
def test_every_surface_has_its_field(path: str, field: str | None) -> None:
    body = json.dumps({"model": "m", (field or "input"): text(1000)}).encode()
    assert bool(marks(FakeAsked(body, path=path))) is (field is not None)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"messages": []}', b'{"messag\\u0065s": "' + b"x" * 600 + b'"}'])
def test_a_body_that_shows_no_block_is_no_ones(body: bytes) -> None:
    assert beginning_of(FakeAsked(body)) is None


# memory


def test_a_replica_knows_what_it_was_given_and_no_other_does() -> None:
    prefixes, first, second = Prefixes(), replica(0), replica(1)
    prefixes.note(begun(chat(text(3100))), first, {})
    assert known(prefixes, chat(text(3100), "why?"), first, second) == [3, 0]
    half = chat(text(3100)[:1550] + text(1550, 9))
    assert known(prefixes, half, first, second) == [2, 0]


def test_a_new_incarnation_knows_nothing() -> None:
    prefixes, reborn = Prefixes(), replica()
    prefixes.note(begun(chat(text(3100))), reborn, {})
    reborn.status = status(0, epoch=2)
    assert known(prefixes, chat(text(3100)), reborn) == [0]


def test_replicas_that_are_no_more_are_forgotten() -> None:
    prefixes, stays, goes, anew = Prefixes(), replica(0), replica(1), replica(2)
    for each in (stays, goes, anew):
        prefixes.note(begun(chat(text(3100))), each, {})
    prefixes.forget({"m.0": stays, "m.2": replica(2)})
    assert known(prefixes, chat(text(3100)), stays, goes, anew) == [3, 0, 0]


def test_what_is_used_stays_and_what_is_not_is_forgotten_within_bounds() -> None:
    prefixes, one = Prefixes(), replica()
    used, unused = (Beginning([seed]) for seed in (1, 2))
    prefixes.note(unused, one, {})
    for number in range(3 * MOST_MARKS):
        if number % 100 == 0:
            prefixes.note(used, one, {})
        prefixes.note(Beginning([100 + number]), one, {})
    remembered = sum(known(prefixes, Beginning([100 + number]), one)[0] for number in range(3 * MOST_MARKS))
    assert known(prefixes, used, one) == [1]
    assert known(prefixes, unused, one) == [0]
    assert MOST_MARKS <= remembered <= 2 * MOST_MARKS


def test_a_session_counts_more_than_any_beginning() -> None:
    prefixes, before, knows = Prefixes(), replica(0), replica(1)
    prefixes.note(begun(FakeAsked(b"", session=b"s-1")), before, {})
    prefixes.note(begun(chat(text(40_000))), knows, {})
    asked = FakeAsked(chat(text(40_000)).body, session=b"s-1")
    assert known(prefixes, asked, before, knows) == [SESSION_BLOCKS, 7]
    assert known(prefixes, FakeAsked(b"", session=b"s-2"), before, knows) == [0, 0]
    assert prefixes.hint(begun(chat(text(3100, 9))), [before, knows]) == NOTHING, "nobody knows anything of it"


def test_what_each_was_given_of_late_fades() -> None:
    prefixes, one, other = Prefixes(), replica(0), replica(1)
    siblings = {each.id: each for each in (one, other)}
    for _ in range(10):
        prefixes.note(Beginning([2]), other, siblings)
    for _ in range(MOST_LEASES):
        prefixes.note(Beginning([2]), one, siblings)
    assert prefixes.hint(Beginning([2]), [one, other]).lately == [MOST_LEASES / 2, 5]
