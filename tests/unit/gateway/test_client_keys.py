from __future__ import annotations

import stat
from pathlib import Path

import pytest

from argosy.config.client_keys import ClientKey, add_key, digest, numbered, read_keys, remove_key
from argosy.errors import InputError
from argosy.gateway.keys import ClientKeys, KeyWatch, client_keys, is_loopback
from argosy.state import FleetFolder
from argosy.telemetry.logging import TextFormatter


@pytest.fixture
def folder(tmp_path: Path) -> FleetFolder:
    return FleetFolder(tmp_path / "fleets" / "f")


KEY = ClientKey(sha256=digest(b"secret"))


def digests(keys: ClientKeys) -> list[str]:
    return [key.sha256 for key in (keys.all or {}).values()]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]", "LocalHost"])
def test_a_door_on_loopback_may_stand_open(folder: FleetFolder, host: str) -> None:
    assert is_loopback(host)
    assert client_keys(host, None, [], folder).all is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "models.example", "localhost.example", ""])
def test_a_door_elsewhere_gets_a_key_made_once(folder: FleetFolder, host: str) -> None:
    assert not is_loopback(host)
    first = client_keys(host, None, [], folder)
    assert first.made is not None and len(first.made) >= 32
    assert digests(first) == [digest(first.made.encode())]
    again = client_keys(host, None, [], folder)
    assert (again.all, again.made) == (first.all, None)
    assert client_keys("127.0.0.1", None, [], folder).all == first.all, "a fleet that moved to loopback keeps it"


def test_a_made_key_is_readable_by_its_owner_alone_and_never_shown(folder: FleetFolder) -> None:
    made = client_keys("0.0.0.0", None, [], folder)
    files = [path for path in folder.root.rglob("*") if path.is_file()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600]
    assert made.made is not None and made.made not in repr(made)


def test_keys_come_from_the_environment_and_from_a_file(folder: FleetFolder, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# ours\nkey-b\n\n  key-c  \n")
    for host in ("127.0.0.1", "0.0.0.0"):
        assert client_keys(host, str(file), ["key-a"], folder).all == numbered(["key-a", "key-b", "key-c"])
    assert folder.secret("client_key") is None


def test_a_fleets_own_keys_hold_beside_the_one_that_was_made(folder: FleetFolder) -> None:
    made = client_keys("0.0.0.0", None, [], folder).made
    assert made is not None
    add_key(folder.client_keys, "alice", KEY)
    found = client_keys("0.0.0.0", None, [], folder)
    assert found.all == {**numbered([made]), "alice": KEY}
    assert found.made is None


def test_a_file_without_a_key_opens_no_door(folder: FleetFolder) -> None:
    folder.make_secret("admin_key")  # makes the folder
    add_key(folder.client_keys, "alice", KEY)
    remove_key(folder.client_keys, "alice")
    for host in ("127.0.0.1", "0.0.0.0"):
        assert client_keys(host, None, [], folder).all == {}


@pytest.mark.parametrize("content", [None, b"", b"# nothing but a comment\n", b"\xff\xfe"])
def test_a_key_file_without_a_key_is_a_sentence(folder: FleetFolder, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=str(file)):
        client_keys("127.0.0.1", str(file), [], folder)


def watched(file: Path, given: list[str]) -> KeyWatch:
    in_file = read_keys(file, first=len(given) + 1) if file.exists() else None
    return KeyWatch(ClientKeys(numbered(given), in_file, file), lambda keys: None)


def test_a_file_that_changes_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    add_key(file, "alice", KEY)
    watch = watched(file, ["key-a"])
    assert watch.look(file) is None, "it says what it said"
    add_key(file, "bob", KEY)
    assert list(watch.look(file) or ()) == ["key-1", "alice", "bob"]
    assert watch.look(file) is None
    remove_key(file, "alice")
    remove_key(file, "bob")
    assert list(watch.look(file) or ()) == ["key-1"]


def test_a_file_that_comes_to_be_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    watch = watched(file, [])
    assert watch.look(file) is None
    add_key(file, "alice", KEY)
    assert watch.look(file) == {"alice": KEY}


def test_a_broken_or_missing_file_keeps_the_keys_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys.yaml"
    add_key(file, "alice", KEY)
    watch = watched(file, [])
    assert watch.look(file) is None
    whole = file.read_text()
    file.write_text("keys: {alice: {sha256: short}}")
    for _ in range(3):
        assert watch.look(file) is None
    file.unlink()
    for _ in range(3):
        assert watch.look(file) is None
    told = [TextFormatter().format(record) for record in caplog.records]
    assert len(told) == 2
    assert "keys.alice.sha256: must be the SHA-256" in told[0] and "cannot be read" in told[1]
    file.write_text(whole)
    assert watch.look(file) is None, "the same keys as before"
    add_key(file, "bob", KEY)
    assert list(watch.look(file) or ()) == ["alice", "bob"]
