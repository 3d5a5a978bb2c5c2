"""Votes, and conversations where they are kept, in SQLite or PostgreSQL through SQLAlchemy (argosy[arena]).

Blocks: its owner calls it in a thread (archive.py), or is a process of its own (reckoning.py). Any process may read;
who writes is said in docs/decisions/0028.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from argosy.arena.votes import Message, Outcome, Vote
from argosy.errors import UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row

PAGE = 500  # votes that are read at once
BUSY_SECONDS = 5.0  # that SQLite waits for another writer: the gateway that this one replaces
_CONVERSATIONS = tuple[list[Message], list[Message]]
_decode_conversations = msgspec.json.Decoder(_CONVERSATIONS).decode


class Store:
    """`database`: a file, or postgresql://…; it is opened, and its tables made, by the first call."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._opened: _Tables | None = None

    def add(self, votes: Sequence[Vote]) -> int:
        """All of them or none, but for those that are there already. Returns how many are new."""
        from sqlalchemy import insert, select  # noqa: PLC0415

        unique = {vote.id: vote for vote in votes}
        with self._tables() as tables, tables.engine.begin() as connection:
            column = tables.votes.c.id
            known = set(connection.scalars(select(column).where(column.in_(list(unique)))))
            new = [vote for vote in unique.values() if vote.id not in known]
            if new:
                connection.execute(insert(tables.votes), [_row(vote) for vote in new])
            kept = [
                {"vote": vote.id, "messages": msgspec.json.encode(vote.conversations).decode()}
                for vote in new
                if vote.conversations is not None
            ]
            if kept:
                connection.execute(insert(tables.conversations), kept)
        return len(new)

    def page(self, after: tuple[float, str] | None) -> list[Vote]:
        """The next votes that count, the eldest first. `after`: time and id of the last one that was read."""
        from sqlalchemy import select, tuple_  # noqa: PLC0415

        with self._tables() as tables, tables.engine.connect() as connection:
            votes, kept = tables.votes, tables.conversations
            query = select(votes, kept.c.messages).join(kept, kept.c.vote == votes.c.id, isouter=True)
            query = query.where(votes.c.counted)
            if after is not None:
                query = query.where(tuple_(votes.c.at, votes.c.id) > after)
            rows = connection.execute(query.order_by(votes.c.at, votes.c.id).limit(PAGE)).all()
        return [_vote(row) for row in rows]

    def outcomes(self, kind: str, language: str) -> list[Outcome]:
        """Of votes that count, in their order. `kind` and `language` may be `all`."""
        from sqlalchemy import select  # noqa: PLC0415

        with self._tables() as tables, tables.engine.connect() as connection:
            votes = tables.votes
            query = select(votes.c.model_a, votes.c.model_b, votes.c.winner).where(votes.c.counted)
            query = query.where(*tables.of_kind(kind))
            if language != "all":
                query = query.where(votes.c.language == language)
            return [Outcome(*row) for row in connection.execute(query.order_by(votes.c.at, votes.c.id))]

    def languages(self, kind: str) -> list[str]:
        """In which there are votes that count, the one with the most first."""
        from sqlalchemy import func, select  # noqa: PLC0415

        with self._tables() as tables, tables.engine.connect() as connection:
            column = tables.votes.c.language
            query = select(column).where(tables.votes.c.counted, *tables.of_kind(kind)).group_by(column)
            return list(connection.scalars(query.order_by(func.count().desc(), column)))

    def close(self) -> None:
        if self._opened is not None:
            self._opened.engine.dispose()
            self._opened = None

    @contextlib.contextmanager
    def _tables(self) -> Iterator[_Tables]:
        """Raises UnavailableError for whatever the database does not do."""
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

        try:
            if self._opened is None:
                self._opened = _Tables(self._database)
            yield self._opened
        except (SQLAlchemyError, OSError) as error:
            told = getattr(error, "orig", None) or error
            where = self._database.rpartition("@")[2]  # no password
            raise UnavailableError(
                f"The arena's database ({where}) cannot be used: {' '.join(str(told).split())}",
                code="arena_database",
                retry_after=5,
            ) from error


class _Tables:
    def __init__(self, database: str) -> None:
        from sqlalchemy import (  # noqa: PLC0415
            URL,
            Boolean,
            Column,
            Float,
            ForeignKey,
            Index,
            Integer,
            MetaData,
            String,
            Table,
            Text,
            create_engine,
            event,
        )

        if "://" in database:
            _, _, rest = database.partition("://")
            self.engine = create_engine(f"postgresql+psycopg://{rest}", pool_pre_ping=True)
        else:
            _make_private(Path(database))
            self.engine = create_engine(
                URL.create("sqlite", database=database),
                connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            )
            event.listen(self.engine, "connect", _read_while_it_is_written)
        metadata = MetaData()
        self.votes = Table(
            "votes",
            metadata,
            Column("id", String(64), primary_key=True),
            Column("at", Float, nullable=False),
            Column("kind", String(16), nullable=False),
            Column("model_a", String(255), nullable=False),
            Column("model_b", String(255), nullable=False),
            Column("winner", String(16), nullable=False),
            Column("language", String(16), nullable=False),
            Column("turns", Integer, nullable=False),
            Column("counted", Boolean, nullable=False),
            Column("why_not", Text),
        )
        Index("votes_in_order", self.votes.c.at, self.votes.c.id)
        self.conversations = Table(
            "conversations",
            metadata,
            Column("vote", String(64), ForeignKey(self.votes.c.id, ondelete="CASCADE"), primary_key=True),
            Column("messages", Text, nullable=False),
        )
        metadata.create_all(self.engine)

    def of_kind(self, kind: str) -> list[ColumnElement[bool]]:
        return [] if kind == "all" else [self.votes.c.kind == kind]


def _make_private(file: Path) -> None:
    """SQLite gives its own files beside it the same rights."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))


def _read_while_it_is_written(connection: Any, _: object) -> None:
    """https://www.sqlite.org/wal.html"""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _row(vote: Vote) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.structs.asdict(vote)
    del row["conversations"]
    return row


def _vote(row: Row[Any]) -> Vote:
    fields, messages = row[:-1], row[-1]
    names = [name for name in Vote.__struct_fields__ if name != "conversations"]
    conversations = _decode_conversations(messages) if messages is not None else None
    return Vote(**dict(zip(names, fields, strict=True)), conversations=conversations)
