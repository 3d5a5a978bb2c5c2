from __future__ import annotations

import stat
from pathlib import Path

import pytest

from argosy.errors import InputError
from argosy.gateway.keys import client_keys, is_loopback
from argosy.state import FleetFolder


@pytest.fixture
def folder(tmp_path: Path) -> FleetFolder:
    return FleetFolder(tmp_path / "fleets" / "f")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]", "LocalHost"])
def test_a_door_on_loopback_may_stand_open(folder: FleetFolder, host: str) -> None:
    assert is_loopback(host)
    assert client_keys(host, None, [], folder).keys == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "models.example", "localhost.example", ""])
def test_a_door_elsewhere_gets_a_key_made_once(folder: FleetFolder, host: str) -> None:
    assert not is_loopback(host)
    first = client_keys(host, None, [], folder)
    assert first.made is not None and len(first.made) >= 32
    assert first.keys == (first.made,)
    again = client_keys(host, None, [], folder)
    assert (again.keys, again.made) == (first.keys, None)
    assert client_keys("127.0.0.1", None, [], folder).keys == first.keys, "a fleet that moved to loopback keeps it"


def test_a_made_key_is_readable_by_its_owner_alone_and_never_shown(folder: FleetFolder) -> None:
    made = client_keys("0.0.0.0", None, [], folder)
    files = [path for path in folder.root.rglob("*") if path.is_file()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600]
    assert made.made is not None and made.made not in repr(made)


def test_keys_come_from_the_environment_and_from_a_file(folder: FleetFolder, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# ours\nkey-b\n\n  key-c  \n")
    for host in ("127.0.0.1", "0.0.0.0"):
        assert client_keys(host, str(file), ["key-a"], folder).keys == ("key-a", "key-b", "key-c")
    assert folder.secret("client_key") is None


@pytest.mark.parametrize("content", [None, b"", b"# nothing but a comment\n", b"\xff\xfe"])
def test_a_key_file_without_a_key_is_a_sentence(folder: FleetFolder, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=str(file)):
        client_keys("127.0.0.1", str(file), [], folder)
