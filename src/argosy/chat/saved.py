"""Saved conversations: written as the body of an OpenAI chat request, read in the forms that people have.

Those are that body, a bare list of messages, and what FastChat's cli saves (its `Conversation.dict()`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argosy.chat.conversation import Conversation, Message
from argosy.chat.settings import SETTINGS
from argosy.errors import InputError

_ROLES = ("system", "developer", "user", "assistant", "tool")


def write(path: Path, conversation: Conversation) -> Path:
    """The file that was written, for its owner only: FILE.json where FILE has no ending. Raises InputError."""
    path = _named(path)
    text = json.dumps(conversation.request(), ensure_ascii=False, indent=2)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise InputError(f"the conversation cannot be saved to {path}: {error.strerror}") from None
    return path


def read(path: Path) -> tuple[list[Message], dict[str, Any]]:
    """Messages and settings. Raises InputError for a file that is no conversation."""
    path = path.expanduser()
    if not path.exists():
        path = _named(path)
    try:
        return parse(json.loads(path.read_bytes()))
    except OSError as error:
        raise InputError(f"the conversation in {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} is no saved conversation: {error}") from None


def parse(data: Any) -> tuple[list[Message], dict[str, Any]]:
    """Raises ValueError with what is wrong with it."""
    if isinstance(data, list):
        data = {"messages": data}
    if not isinstance(data, dict) or not isinstance(data.get("messages"), list):
        raise ValueError("it wants a list of messages, or an object with one")
    if "template_name" in data or "roles" in data:
        return _fastchat(data), {}
    for number, message in enumerate(data["messages"], start=1):
        _check(message, f"message {number}")
    return data["messages"], {name: data[name] for name in SETTINGS if data.get(name) is not None}


def _check(message: Any, where: str) -> None:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        raise ValueError(f"{where} wants a role of {', '.join(_ROLES)}")
    content = message.get("content")
    parts = isinstance(content, list) and all(isinstance(part, dict) for part in content)
    if not (content is None or isinstance(content, str) or parts):
        raise ValueError(f"{where} wants a text as its content")


def _fastchat(data: Mapping[str, Any]) -> list[Message]:
    """template_name, system_message, roles (of the user, of the model), messages [[role, text], …], offset.

    `offset` counts examples of the template that FastChat does not show; the model saw them, so they stay.
    """
    roles = data.get("roles")
    if not (isinstance(roles, list) and len(roles) == 2 and all(isinstance(role, str) for role in roles)):
        raise ValueError("FastChat's roles are two names, of the user and of the model")
    names = dict(zip(roles, ("user", "assistant"), strict=True))
    messages: list[Message] = []
    if system := data.get("system_message"):
        messages.append({"role": "system", "content": str(system)})
    for number, turn in enumerate(data["messages"], start=1):
        if not isinstance(turn, list) or len(turn) != 2 or turn[0] not in names:
            raise ValueError(f"message {number} wants one of the roles {roles[0]!r} and {roles[1]!r}, and a text")
        text = turn[1][0] if isinstance(turn[1], list) and turn[1] else turn[1]  # [text, images]
        if text is not None:  # None: an answer that had not come
            messages.append({"role": names[turn[0]], "content": str(text)})
    return messages


def _named(path: Path) -> Path:
    path = path.expanduser()
    return path if path.suffix else path.with_suffix(".json")
