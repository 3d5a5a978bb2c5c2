"""Votes in a database: SQLite, and PostgreSQL where one can be started here."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from argosy.arena.reckoning import Question, reckon
from argosy.arena.store import PAGE, Store
from argosy.arena.votes import Message, Outcome, Vote
from argosy.errors import UnavailableError

TALKS = ([Message("user", "hi"), Message("assistant", "是")], [Message("user", "hi"), Message("assistant", "no")])
_PROGRAMS = [Path(folder) for folder in sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))]


def vote(id_: str, **fields: Any) -> Vote:
    told = {"kind": "anonymous", "model_a": "x", "model_b": "y", "winner": "a", "language": "en", "at": 1.5}
    return Vote(id=id_, **{**told, **fields})


@dataclass(frozen=True)
class Server:
    """A PostgreSQL of these tests' own, on a socket in its folder; root, whom it refuses, has another user run it."""

    programs: Path
    folder: str
    user: int

    def run(self, program: str, *arguments: str) -> None:
        argv = [str(self.programs / program), *arguments]
        subprocess.run(argv, user=self.user, cwd=self.folder, check=True, capture_output=True, timeout=60)

    def database(self, name: str) -> str:
        self.run("createdb", "-h", self.folder, "-U", "argosy", name)
        return f"postgresql://argosy@/{name}?host={self.folder}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    initdb = shutil.which("initdb", path=os.pathsep.join([*map(str, _PROGRAMS), os.environ["PATH"]]))
    if initdb is None:
        pytest.skip("no PostgreSQL here (Debian: apt install postgresql)")
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    with tempfile.TemporaryDirectory() as folder:  # not pytest's, which is closed to other users
        os.chown(folder, user, -1)
        server, data = Server(Path(initdb).parent, folder, user), ("-D", f"{folder}/db")
        server.run("initdb", *data, "-U", "argosy", "-A", "trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        server.run("pg_ctl", *data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        yield server
        server.run("pg_ctl", *data, "-m", "immediate", "stop")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "kept" / "arena.sqlite")
    server: Server = request.getfixturevalue("server")
    return server.database(f"arena_{uuid.uuid4().hex}")


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = Store(database)
    yield opened
    opened.close()


def test_what_is_kept_comes_back_and_is_kept_once(store: Store, database: str) -> None:
    votes = [vote("1", conversations=TALKS), vote("2", winner="both_bad", kind="named"), vote("3", counted=False)]
    assert store.add(votes) == 3
    assert store.add([*votes, vote("4", at=0.5, language="zh")]) == 1
    assert store.add([]) == 0
    store.close()
    again = Store(database)
    try:
        assert again.page(None) == [vote("4", at=0.5, language="zh"), votes[0], votes[1]]
        assert again.outcomes("anonymous", "all") == [Outcome("x", "y", "a")] * 2
        assert again.outcomes("named", "en") == [Outcome("x", "y", "both_bad")]
        assert again.outcomes("all", "zh") == [Outcome("x", "y", "a")]
        assert again.languages("all") == ["en", "zh"]
    finally:
        again.close()
    board = reckon(Question(database, "anonymous", "all", 50)).board
    assert board is not None
    assert (board.votes, board.languages) == (2, ["all", "en", "zh"])


def test_pages_leave_nothing_out_also_among_votes_of_one_moment(store: Store) -> None:
    votes = [vote(f"{number:04}") for number in range(2 * PAGE + 3)]
    store.add(votes)
    found, after = list[Vote](), None
    while page := store.page(after):
        found += page
        after = page[-1].at, page[-1].id
    assert found == votes


def test_two_writers_wait_for_each_other(database: str) -> None:
    """As a gateway and the one that replaces it."""

    def write(writer: int) -> int:
        own = Store(database)
        try:
            return sum(own.add([vote(f"{writer}-{number}")]) for number in range(25))
        finally:
            own.close()

    write(9)  # makes the tables
    with ThreadPoolExecutor(2) as both:
        assert list(both.map(write, range(2))) == [25, 25]


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "arena.sqlite"))
    store.add([vote("1")])
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    store.close()


def test_a_database_that_cannot_be_used_is_named_without_its_password(tmp_path: Path) -> None:
    for database in (str(tmp_path), "postgresql://me:secret@127.0.0.1:1/votes"):
        with pytest.raises(UnavailableError) as caught:
            Store(database).add([vote("1")])
        assert caught.value.code == "arena_database"
        assert "secret" not in str(caught.value)
        assert database.rpartition("@")[2] in str(caught.value)
        assert reckon(Question(database, "all", "all", 50)).failure == str(caught.value)
