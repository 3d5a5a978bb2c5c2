"""How requests begin, and which replica was lately given what begins alike: its cache may hold that part of the prompt.

A beginning is told by marks. The first 32 KB of a body from its `messages` (`prompt`, `input`) on are cut into blocks,
and each mark is the hash of the mark before it and of its block: of all of it in the first 2 KB, then of its last 256
bytes. So two bodies that share a mark share what stands before it, but for changes that keep every length. Blocks grow
with the depth: a long prompt costs a few µs too. A wrong guess costs a prompt that is read again, never an answer: so
no JSON is parsed here, and what follows the messages in a body may stand in the last marks.

Owns what each replica was given, by marks that are forgotten in the order in which they were last used. What is made of
it is the policy's (policies.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from argosy.dispatch.policies import NOTHING, Hint
from argosy.protocol import endpoints
from argosy.registry.records import Replica

# A block is at most half of what stands before it: no more than that of a known prompt is overlooked.
_ENDS = (512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768)
_HASHED = tuple((end - (512 if end <= 2048 else 256), end) for end in _ENDS)
_BEGINS_AT = {
    endpoints.CHAT: b'"messages"',
    endpoints.COMPLETIONS: b'"prompt"',
    endpoints.RESPONSES: b'"input"',
    endpoints.MESSAGES: b'"messages"',
}
# In each of two generations: 340 prompts of 32 KB, or some thousand short ones; at most 0.6 MB for a replica.
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
    body = asked.body
    # Within a text its quotes are escaped: what is found is a key, or a whole string that is spelt like it.
    start = body.find(key)
    if start < 0:
        return Beginning((), session)
    marks: list[int] = []
    mark = 0
    for begins, ends in _HASHED[: bisect_right(_ENDS, len(body) - start)]:
        # With a key of this process: nobody can make two alike.
        mark = hash((mark, body[start + begins : start + ends]))
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
        """How many of its blocks, from the first on, it was given before."""
        marks, session = beginning
        now, before = self._marks, self._before
        depth = 0
        # All marks of a request are kept and forgotten together: where one is known, those before it are.
        if marks and (marks[0] in now or marks[0] in before):
            depth = len(marks)
            while not (marks[depth - 1] in now or marks[depth - 1] in before):
                depth -= 1
        if session is not None and (session in now or session in before):
            depth += SESSION_BLOCKS
        return depth

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
        if not beginning.marks and beginning.session is None:
            return NOTHING
        known: list[int] = []
        lately: list[float] = []
        for replica in candidates:
            recent = self._of(replica)
            known.append(recent.known(beginning))
            lately.append(recent.leases)
        return Hint(known, lately)

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
