"""How requests begin, and which replica was lately given what begins alike: its cache may hold that part of the prompt.

A beginning is told by marks. The first 32 KB of a body from its `messages` (`prompt`, `input`) on are cut into blocks,
and each mark is the hash of the mark before it and of its block: of all of it in the first KB, then of its last 128
bytes. So two bodies that share a mark share what stands before it, but for changes that keep every length. A block is
as long as all that stands before it: a long prompt costs a few µs too. A wrong guess costs a prompt that is read again,
never an answer: so no JSON is parsed here, and what follows the messages in a body may stand in the last marks.

Owns what each replica was given, by marks that are forgotten in the order in which they were last used. What is made of
it is the policy's (policies.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from argosy.dispatch.policies import NOTHING, Hint
from argosy.protocol import endpoints
from argosy.registry.records import Replica

# At least half of what is known of a prompt is seen to be known.
_ENDS = (512, 1024, 2048, 4096, 8192, 16384, 32768)
_HASHED = ((0, 512), (512, 1024), *((end - 128, end) for end in _ENDS[2:]))
_BEGINS_AT = {
    endpoints.CHAT: b'"messages"',
    endpoints.COMPLETIONS: b'"prompt"',
    endpoints.RESPONSES: b'"input"',
    endpoints.MESSAGES: b'"messages"',
}
# In each of two generations: 580 prompts of 32 KB, or some thousand short ones; at most 0.6 MB for a replica.
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


class Beginning(msgspec.Struct, frozen=True, gc=False):
    marks: list[int]
    session: int | None = None  # its mark


def beginning_of(asked: Asked) -> Beginning | None:
    """None of a request of which nothing is worth remembering."""
    body = asked.body
    if asked.session:
        return Beginning(_marks(asked.path, body), hash((b"session", asked.session)))
    if len(body) < _ENDS[0]:
        return None
    marks = _marks(asked.path, body)
    return Beginning(marks) if marks else None


def _marks(path: str, body: bytes) -> list[int]:
    marks: list[int] = []
    key = _BEGINS_AT.get(path)
    # Within a text its quotes are escaped: what is found is a key, or a whole string that is spelt like it.
    start = body.find(key) if key is not None else -1  # nothing is cached of embeddings
    if start >= 0:
        mark = 0
        for begins, ends in _HASHED[: bisect_right(_ENDS, len(body) - start)]:
            # With a key of this process: nobody can make two alike.
            mark = hash((mark, body[start + begins : start + ends]))
            marks.append(mark)
    return marks


class Recent:
    """What one incarnation of a replica was given of late: marks in two generations."""

    __slots__ = ("before", "epoch", "leases", "now")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.leases = 0.0
        self.now: set[int] = set()
        self.before: set[int] = set()

    def note(self, beginning: Beginning) -> None:
        if len(self.now) >= MOST_MARKS:
            self.before, self.now = self.now, set()
        self.now.update(beginning.marks)
        if beginning.session is not None:
            self.now.add(beginning.session)
        self.leases += 1.0


class Prefixes:
    """What every replica was given of late. A replica's next incarnation begins with nothing, as its cache does."""

    def __init__(self) -> None:
        self._recent: dict[Replica, Recent] = {}

    def hint(self, beginning: Beginning, candidates: Iterable[Replica]) -> Hint:
        """For each candidate, how many of its blocks, from the first on, it was given before; NOTHING: none of any."""
        marks, session = beginning.marks, beginning.session
        first = marks[0] if marks else None
        known: list[int] = []
        lately: list[float] = []
        some = 0
        for replica in candidates:
            recent = self._recent.get(replica)
            if recent is None or recent.epoch != replica.status.epoch:
                recent = self._of(replica)
            now, before = recent.now, recent.before
            depth = 0
            # All marks of a request are kept and forgotten together: where one is known, those before it are.
            if first in now or first in before:
                depth = len(marks)
                while not (marks[depth - 1] in now or marks[depth - 1] in before):
                    depth -= 1
            if session is not None and (session in now or session in before):
                depth += SESSION_BLOCKS
            some |= depth
            known.append(depth)
            lately.append(recent.leases)
        return Hint(known, lately) if some else NOTHING

    def note(self, beginning: Beginning, replica: Replica, siblings: Mapping[str, Replica]) -> None:
        """It was given this one. `siblings`: all replicas of its deployment."""
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
