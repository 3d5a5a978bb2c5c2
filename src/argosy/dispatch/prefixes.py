"""How requests begin, and which replica was lately given what begins alike: its cache may hold that part of the prompt.

A beginning is told by marks. The first 32 KB of a body from its `messages` (`prompt`, `input`) on are cut into blocks,
and each mark is the hash of the mark before it and the last 512 bytes of its block: two bodies that share a mark share
what stands before it. Blocks are of 512 bytes at first, so that nothing is left out, and grow with the depth, so that a
long prompt costs no more than a few µs. A wrong guess costs a prompt that is read again, never an answer: so no JSON is
parsed here, and what follows the messages in a body may stand in the last marks.

Owns what each replica was given, by marks that are forgotten in the order in which they were last used. What is made of
it is the policy's (policies.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

from argosy.dispatch.policies import Hint
from argosy.protocol import endpoints
from argosy.registry.records import Replica

LONGEST_BYTES = 32 * 1024  # of a beginning
HASHED_BYTES = 512  # of a block, its last
# As many bytes as there are of a block's kind: a step is at most a quarter of what stands before it.
_SIZES = [512] * 8 + [1024] * 4 + [2048] * 12
_ENDS = list(accumulate(_SIZES))
_HASHED = tuple(slice(end - HASHED_BYTES, end) for end in _ENDS)
_BEGINS_AT = {
    endpoints.CHAT: b'"messages"',
    endpoints.COMPLETIONS: b'"prompt"',
    endpoints.RESPONSES: b'"input"',
    endpoints.MESSAGES: b'"messages"',
}
# In each of two generations: 170 prompts of 32 KB, or some thousand short ones; at most 0.8 MB for a replica.
MOST_MARKS = 4096
SESSION_BLOCKS = 1000  # that a session counts as: more than a beginning has
MOST_LEASES = 128  # of a replica; then all of its deployment's are halved


class Asked(Protocol):
    """A request, as far as its beginning tells of it."""

    @property
    def path(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def session(self) -> bytes:
        """What the client calls the conversation; b"" where it says nothing."""
        ...


class Beginning(NamedTuple):
    marks: Sequence[int]
    session: int | None = None  # its mark


def beginning_of(asked: Asked) -> Beginning:
    session = hash((b"session", asked.session)) if asked.session else None
    key = _BEGINS_AT.get(asked.path)
    if key is None:  # nothing is cached of embeddings
        return Beginning((), session)
    # Within a text its quotes are escaped: what is found is a key, or a whole string that is spelt like it.
    start = asked.body.find(key)
    if start < 0:
        return Beginning((), session)
    text = asked.body[start : start + LONGEST_BYTES]
    marks, mark = list[int](), 0
    for hashed in _HASHED[: bisect_right(_ENDS, len(text))]:
        mark = hash((mark, text[hashed]))  # with a key of this process: nobody can make two that are the same
        marks.append(mark)
    return Beginning(marks, session)


class Recent:
    """What one incarnation of a replica was given of late."""

    __slots__ = ("_before", "_marks", "epoch", "leases")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.leases = 0.0
        self._marks: set[int] = set()
        self._before: set[int] = set()

    def known(self, beginning: Beginning) -> int:
        """How many of its blocks, from the first on without a gap, it was given before."""
        marks, (now, before) = beginning.marks, (self._marks, self._before)
        low, high = 0, len(marks)
        # All marks of a request are kept and forgotten together: where one is known, those before it are.
        while low < high:
            middle = (low + high) // 2
            if marks[middle] in now or marks[middle] in before:
                low = middle + 1
            else:
                high = middle
        session = beginning.session
        return low + SESSION_BLOCKS if session is not None and (session in now or session in before) else low

    def note(self, beginning: Beginning) -> None:
        if len(self._marks) >= MOST_MARKS:
            self._before, self._marks = self._marks, set()
        self._marks.update(beginning.marks)
        if beginning.session is not None:
            self._marks.add(beginning.session)
        self.leases += 1.0


class Prefixes:
    """What every replica was given of late. A replica's next incarnation begins with nothing, as its cache does."""

    def __init__(self) -> None:
        self._recent: dict[Replica, Recent] = {}

    def hint(self, beginning: Beginning, candidates: Iterable[Replica]) -> Hint:
        known, lately = list[int](), list[float]()
        for replica in candidates:
            recent = self._of(replica)
            known.append(recent.known(beginning))
            lately.append(recent.leases)
        return Hint(known, lately)

    def note(self, beginning: Beginning, replica: Replica, siblings: Mapping[str, Replica]) -> None:
        """It is given this one now. `siblings`: all replicas of its deployment."""
        recent = self._of(replica)
        recent.note(beginning)
        if recent.leases >= MOST_LEASES:
            for each in siblings.values():
                self._of(each).leases /= 2

    def forget(self, keep: Mapping[str, Replica]) -> None:
        """All but these, and what these were given as an earlier incarnation."""
        for replica, recent in list(self._recent.items()):
            if keep.get(replica.id) is not replica or recent.epoch != replica.status.epoch:
                del self._recent[replica]

    def _of(self, replica: Replica) -> Recent:
        recent = self._recent.get(replica)
        if recent is None or recent.epoch != replica.status.epoch:
            recent = self._recent[replica] = Recent(replica.status.epoch)
        return recent
