"""The store as a gateway has it: off the event loop. One thread writes and reads votes, a process makes leaderboards.

Owns both, and the leaderboards that were made: one is good until there is another vote, or for a minute where other
gateways may have written some.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from argosy.arena.leaderboard import Leaderboard, leaderboard
from argosy.arena.reckoning import Answer, Question
from argosy.arena.store import Store
from argosy.arena.votes import MINIMUM_VOTES, Vote
from argosy.errors import UnavailableError

FRESH_SECONDS = 60.0
RECKONING_SECONDS = 120.0
MOST_KEPT = 100  # leaderboards

T = TypeVar("T")
_ANSWER = msgspec.json.Decoder(Answer)


class Archive:
    """`clock`: monotonic seconds."""

    def __init__(self, database: str, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._store = Store(database)
        self._thread = ThreadPoolExecutor(1, "arena")
        self._boards: dict[tuple[str, str], tuple[float, bytes]] = {}  # when it was made, as JSON
        self._one_at_a_time = asyncio.Lock()

    async def add(self, votes: Sequence[Vote]) -> int:
        """How many are new. Raises UnavailableError: then none was kept."""
        added = await self._beside(lambda: self._store.add(votes))
        if added:
            self._boards.clear()
        return added

    async def votes(self) -> AsyncIterator[list[Vote]]:
        """All that count, the eldest first, a page at a time."""
        after: tuple[float, str] | None = None
        while page := await self._beside(lambda: self._store.page(after)):  # noqa: B023  it is awaited at once
            yield page
            after = page[-1].at, page[-1].id

    async def leaderboard(self, kind: str, language: str) -> bytes:
        """As JSON. Raises UnavailableError."""
        key = kind, language
        if (kept := self._fresh(key)) is not None:
            return kept
        async with self._one_at_a_time:
            if (kept := self._fresh(key)) is not None:
                return kept
            now, boards = self._clock(), self._boards
            known = await self._beside(lambda: self._store.languages(kind))
            if not known or language not in ("all", *known):  # no process for no votes
                return msgspec.json.encode(leaderboard([], known, minimum_votes=MINIMUM_VOTES))
            board = msgspec.json.encode(await self._reckoned(Question(self._database, kind, language, MINIMUM_VOTES)))
            if len(boards) >= MOST_KEPT:
                boards.clear()
            boards[key] = now, board
            return board

    async def close(self) -> None:
        """What was taken is written first."""
        await self._beside(self._store.close)
        self._thread.shutdown(wait=False)

    def _fresh(self, key: tuple[str, str]) -> bytes | None:
        made_at, board = self._boards.get(key, (float("-inf"), b""))
        return board if self._clock() - made_at < FRESH_SECONDS else None

    async def _beside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _reckoned(self, question: Question) -> Leaderboard:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "argosy.arena.reckoning", stdin=pipe, stdout=pipe
        )
        try:
            async with asyncio.timeout(RECKONING_SECONDS):
                said, _ = await child.communicate(msgspec.json.encode(question))
            answer = _ANSWER.decode(said)
        except (TimeoutError, msgspec.DecodeError) as error:
            raise UnavailableError(
                f"The leaderboard could not be made ({error or 'it took too long'}); the gateway's log may say why.",
                code="arena_leaderboard",
                retry_after=5,
            ) from error
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if answer.board is None:
            raise UnavailableError(answer.failure, code="arena_database", retry_after=5)
        return answer.board
