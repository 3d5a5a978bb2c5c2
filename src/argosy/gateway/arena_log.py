"""Votes out of the arena and into it, as lines of FastChat's log: neither is ever in memory whole."""

from __future__ import annotations

from collections.abc import AsyncIterator

from argosy.arena import fastchat_log
from argosy.arena.archive import Archive
from argosy.arena.votes import Vote
from argosy.errors import TooLargeError
from argosy.protocol.arena import Imported

LONGEST_LINE_BYTES = 4 * 1024 * 1024
LINES_AT_ONCE = 500


async def exported(archive: Archive) -> AsyncIterator[bytes]:
    """Whole lines. The first are read at once, so that UnavailableError is raised before an answer has begun."""
    pages = archive.votes()
    first: list[Vote] = await anext(pages, [])

    async def parts() -> AsyncIterator[bytes]:
        yield b"".join(map(fastchat_log.line_of, first))
        async for page in pages:
            yield b"".join(map(fastchat_log.line_of, page))

    return parts()


async def taken(parts: AsyncIterator[bytes], archive: Archive, *, keep_conversations: bool) -> Imported:
    """`parts`: of a log, cut anywhere. Raises TooLargeError, UnavailableError; what came before stays."""
    imported = lines = 0
    waiting = list[Vote]()
    async for line in _lines(parts):
        lines += 1
        vote = fastchat_log.vote_of(line, keep_conversation=keep_conversations)
        waiting += [vote] if vote is not None else []
        if len(waiting) >= LINES_AT_ONCE:
            imported += await archive.add(waiting)
            waiting = []
    imported += await archive.add(waiting)
    return Imported(imported, lines - imported)


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
        if len(rest) > LONGEST_LINE_BYTES:
            raise TooLargeError(f"A line of a log has {LONGEST_LINE_BYTES} bytes at most.")
    if rest.strip():
        yield rest
