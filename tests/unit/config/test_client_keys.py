from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest

from argosy.config.client_keys import ClientKey, add_key, digest, parse_keys, read_keys, remove_key
from argosy.errors import InputError

KEY = ClientKey(sha256=digest(b"secret"))
LIMITED = ClientKey(
    sha256=digest(b"other"), models=("qwen*", "a/b"), requests_per_minute=60, tokens_per_minute=1, concurrent_requests=2
)


def test_a_file_of_names_is_yaml_or_json(tmp_path: Path) -> None:
    for text in (
        f"# ours\nkeys:\n  alice:\n    sha256: {KEY.sha256}\n",
        json.dumps({"keys": {"alice": {"sha256": KEY.sha256}}}),
    ):
        assert parse_keys(text, tmp_path) == {"alice": KEY}


def test_plain_keys_are_numbered(tmp_path: Path) -> None:
    found = parse_keys("# ours\nkey-b\n\n  secret  \n", tmp_path, first=3)
    assert list(found) == ["key-3", "key-4"] and found["key-4"] == KEY


def test_a_key_of_upper_case_digits_is_the_same() -> None:
    assert ClientKey(sha256=KEY.sha256.upper()) == KEY


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{}", r"keys.alice.sha256: missing \(line 2\)"),
        ("{sha256: short}", "64 hexadecimal digits"),
        (f"{{sha256: {KEY.sha256}, requests_per_minute: 0}}", "keys.alice.requests_per_minute: must be at least 1"),
        (f"{{sha256: {KEY.sha256}, tokens_per_minute: yes}}", "must be a number"),
        (f"{{sha256: {KEY.sha256}, request_per_minute: 5}}", "did you mean requests_per_minute"),
        (f"{{sha256: {KEY.sha256}, models: qwen}}", "must be a list"),
        (f"{{sha256: {KEY.sha256}, models: []}}", "models"),
        ("{sha256: [}", "line 2"),
    ],
)
def test_every_fault_of_a_file_says_where_and_what(tmp_path: Path, entry: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as error:
        parse_keys(f"keys:\n  alice: {entry}\n", tmp_path / "keys.yaml")
    assert str(tmp_path / "keys.yaml") in str(error.value)


@pytest.mark.parametrize("name", ["key-1", "-x", "a b", "", "a/b", "x" * 65, "a\nb"])
def test_what_is_no_name_of_a_key_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="name"):
        add_key(tmp_path / "keys.yaml", name, KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_name_twice_is_a_fault(tmp_path: Path) -> None:
    entry = f"  alice: {{sha256: {KEY.sha256}}}\n"
    with pytest.raises(InputError, match="given twice"):
        parse_keys(f"keys:\n{entry}{entry}", tmp_path)


def test_keys_are_added_to_a_file_of_their_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    add_key(file, "alice", KEY)
    add_key(file, "bob@example.com", LIMITED)
    assert read_keys(file) == {"alice": KEY, "bob@example.com": LIMITED}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.yaml"], "nothing is left beside it"
    with pytest.raises(InputError, match="'alice' already"):
        add_key(file, "alice", LIMITED)


def test_what_people_wrote_around_the_keys_stays(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(
        f"# of the lab\nkeys:\n    # until May\n    alice:\n        sha256: {KEY.sha256}\n        models:\n"
        f"          - qwen*   # small ones\n    # for ever\n    bob: {{sha256: {LIMITED.sha256}}}\n"
    )
    add_key(file, "carol", LIMITED)
    assert list(read_keys(file)) == ["alice", "bob", "carol"]
    remove_key(file, "alice")
    assert list(read_keys(file)) == ["bob", "carol"]
    for comment in ("# of the lab", "# until May", "# for ever"):
        assert comment in file.read_text()


def test_json_stays_json(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": {"alice": {"sha256": KEY.sha256}}}))
    add_key(file, "bob", LIMITED)
    remove_key(file, "alice")
    assert list(json.loads(file.read_text())["keys"]) == ["bob"]
    assert read_keys(file) == {"bob": LIMITED}


def test_the_last_key_leaves_a_file_without_one(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    add_key(file, "alice", KEY)
    remove_key(file, "alice")
    assert read_keys(file) == {}
    add_key(file, "bob", KEY)
    assert list(read_keys(file)) == ["bob"]
    with pytest.raises(InputError, match="no key of 'alice'; those it has: bob"):
        remove_key(file, "alice")


def test_plain_keys_and_broken_files_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    for text in ("sk-one\n", "keys: {alice: {}}\n"):
        file.write_text(text)
        with pytest.raises(InputError, match=str(file)):
            add_key(file, "bob", KEY)
        with pytest.raises(InputError, match=str(file)):
            remove_key(file, "alice")
        assert file.read_text() == text


def test_two_who_add_at_once_both_get_in(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    threads = [threading.Thread(target=add_key, args=(file, f"name{number}", KEY)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_keys(file)) == 8


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written: No such file"):
        add_key(tmp_path / "none" / "keys.yaml", "alice", KEY)
