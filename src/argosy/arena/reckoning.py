"""Makes one leaderboard: `python -m argosy.arena.reckoning`, what is asked as JSON on stdin, the answer on stdout.

A process of its own: a hundred thousand votes take a second to be read and counted, with the interpreter's lock held,
and a gateway has streams to pass on meanwhile; nor does it need numpy in its memory. What is asked holds a database's
password, so it is no argument.
"""

from __future__ import annotations

import sys

import msgspec

from argosy.arena.leaderboard import Leaderboard, leaderboard
from argosy.arena.store import Store
from argosy.errors import UnavailableError


class Question(msgspec.Struct, frozen=True):
    database: str
    kind: str
    language: str
    minimum_votes: int


class Answer(msgspec.Struct, frozen=True):
    board: Leaderboard | None = None
    failure: str = ""  # why there is none


def reckon(question: Question) -> Answer:
    store = Store(question.database)
    try:
        outcomes = store.outcomes(question.kind, question.language)
        return Answer(leaderboard(outcomes, store.languages(question.kind), minimum_votes=question.minimum_votes))
    except UnavailableError as error:
        return Answer(failure=str(error))
    finally:
        store.close()


def main() -> None:
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    sys.stdout.buffer.write(msgspec.json.encode(reckon(question)))


if __name__ == "__main__":
    main()
