import json
import stat
from pathlib import Path
from typing import Any

import pytest

from argosy.chat.conversation import Conversation
from argosy.chat.saved import parse, read, write
from argosy.errors import InputError

FASTCHAT = {
    "template_name": "one_shot",
    "system_message": "A chat.",
    "roles": ["Human", "Assistant"],
    "messages": [["Human", "Hi"], ["Assistant", "Hello"], ["Human", ["Look", []]], ["Assistant", None]],
    "offset": 2,
}


def test_what_is_saved_is_a_request_that_can_be_loaded_and_sent(tmp_path: Path) -> None:
    conversation = Conversation("m", system="Be kind.", settings={"temperature": 0.3})
    conversation.asked("你好")
    path = write(tmp_path / "kept", conversation)
    assert path.name == "kept.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text("utf-8")) == conversation.request()
    again = Conversation("m")
    again.load(*read(tmp_path / "kept"))
    assert again.request() == conversation.request()


def test_fastchats_roles_become_openais() -> None:
    messages, settings = parse(FASTCHAT)
    assert settings == {}
    assert messages == [
        {"role": "system", "content": "A chat."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Look"},
    ]


def test_a_bare_list_of_messages_is_a_conversation() -> None:
    assert parse([{"role": "user", "content": "Hi"}]) == ([{"role": "user", "content": "Hi"}], {})


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (3, "a list of messages"),
        ({}, "a list of messages"),
        ([{"role": "robot"}], "message 1 wants a role"),
        ([{"role": "user", "content": 3}], "message 1 wants a text"),
        ([{"role": "user", "content": [3]}], "message 1 wants a text"),
        ({**FASTCHAT, "roles": ["Human"]}, "two names"),
        ({**FASTCHAT, "messages": [["Robot", "x"]]}, "message 1 wants one of the roles 'Human' and 'Assistant'"),
    ],
)
def test_what_is_none_says_why(data: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse(data)


def test_a_file_that_cannot_be_used_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(InputError, match=r"x\.json is no saved conversation"):
        read(tmp_path / "x")
    with pytest.raises(InputError, match=r"none\.json cannot be read: No such file"):
        read(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be saved"):
        write(tmp_path / "missing" / "x", Conversation("m"))
