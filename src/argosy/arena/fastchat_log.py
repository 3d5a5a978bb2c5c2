"""Votes as lines of FastChat's log, there and back: one JSON object each, as its web server writes them.

    {"tstamp": …, "type": "leftvote", "models": ["", ""], "states": [{…}, {…}], "ip": ""}

`models` are what the page showed, so empty in an anonymous battle; the states have the real ones. Lines that are no
votes (chats, flags, votes on one answer) are left out on the way in. Addresses are kept on neither way. Our own lines
carry in `argosy` what FastChat has no place for. Pure. Its own reader: fastchat/serve/monitor/clean_battle_data.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from argosy.arena.language import LANGUAGES, language_of
from argosy.arena.telling import Telltale, telling_words
from argosy.arena.votes import Message, Vote
from argosy.protocol.arena import Winner

_TYPES: dict[str, Winner] = {"leftvote": "a", "rightvote": "b", "tievote": "tie", "bothbad_vote": "both_bad"}
_WINNERS = {winner: type_ for type_, winner in _TYPES.items()}
_ROLES = ("user", "assistant")
_SHOWN = re.compile(r"<h3>[^:]*: (.*)</h3>\s*", re.DOTALL)  # how old pages told a name: <h3>Model A: vicuna-13b</h3>
_HIDDEN = ("", "Model A", "Model B")
LONGEST_NAME = 255
MOST_TURNS = 1000


class _State(msgspec.Struct):
    messages: list[list[Any]] = []
    offset: int = 0
    model_name: str | None = None
    conv_id: str | None = None
    system_message: str | None = None


class _Own(msgspec.Struct):
    id: str
    language: str
    turns: int


class _Line(msgspec.Struct):
    tstamp: float
    type: str
    models: list[str | None]
    states: list[_State]
    argosy: _Own | None = None


_LINE = msgspec.json.Decoder(_Line)


def line_of(vote: Vote) -> bytes:
    """With its end."""
    sides = ((vote.model_a, 0), (vote.model_b, 1))
    line = {
        "tstamp": vote.at,
        "type": _WINNERS[vote.winner],
        "models": [model if vote.kind == "named" else "" for model, _ in sides],
        "states": [_state(vote, model, side) for model, side in sides],
        "ip": "",
        "argosy": _Own(vote.id, vote.language, vote.turns),
    }
    return msgspec.json.encode(line) + b"\n"


def vote_of(line: bytes, *, keep_conversation: bool) -> Vote | None:
    """None for a line that is no vote between two models, or none that can be read."""
    try:
        found = _LINE.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    winner = _TYPES.get(found.type)
    if winner is None or len(found.states) != 2 or len(found.models) != 2:
        return None
    shown = [_shown(name) for name in found.models]
    names = [state.model_name or name for state, name in zip(found.states, shown, strict=True)]
    anonymous = [name in _HIDDEN for name in shown]
    a, b = names
    if a == b or anonymous[0] is not anonymous[1] or not all(_fit(name) for name in names):
        return None
    if not anonymous[0] and names != shown:
        return None  # as FastChat's own reader has it: what was shown is not who answered
    talks = [_messages(state) for state in found.states]
    first = next((message.text for message in talks[0] if message.role == "user" and message.text), "")
    why_not = _gives_away(names, talks) if anonymous[0] else None
    own = found.argosy
    return Vote(
        id=own.id[:64] if own is not None else hashlib.sha256(line.strip()).hexdigest()[:32],
        at=found.tstamp,
        kind="anonymous" if anonymous[0] else "named",
        model_a=a,
        model_b=b,
        winner=winner,
        language=own.language if own is not None and own.language in LANGUAGES else language_of(first),
        turns=min(max(1, own.turns), MOST_TURNS)
        if own is not None
        else max(1, sum(each.role == "user" for each in talks[0])),
        counted=why_not is None,
        why_not=why_not,
        conversations=(talks[0], talks[1]) if keep_conversation and first else None,
    )


def _state(vote: Vote, model: str, side: int) -> dict[str, Any]:
    """A turn whose words were not kept stands there empty: a reader counts turns, and leaves out who has none."""
    if vote.conversations is not None:
        said = [message for message in vote.conversations[side] if message.role in _ROLES]
        system = next((each.text for each in vote.conversations[side] if each.role not in _ROLES), "")
    else:
        said = [Message(role, "") for role in _ROLES] * vote.turns
        system = ""
    return {
        "template_name": "argosy",
        "system_message": system,
        "roles": list(_ROLES),
        "messages": said,
        "offset": 0,
        "conv_id": f"{vote.id}-{'ab'[side]}",
        "model_name": model,
    }


def _shown(name: str | None) -> str:
    found = _SHOWN.fullmatch(name or "")
    return found.group(1) if found else name or ""


def _fit(name: str) -> bool:
    return name not in _HIDDEN and len(name) <= LONGEST_NAME and name.isprintable()


def _messages(state: _State) -> list[Message]:
    """What was said after the examples that some templates begin with; two roles take turns, by whatever names."""
    said = [
        Message(_ROLES[index % 2], message[1])
        for index, message in enumerate(state.messages[state.offset :])
        if len(message) > 1 and isinstance(message[1], str)
    ]
    return [Message("system", state.system_message), *said] if state.system_message else said


def _gives_away(names: Sequence[str], talks: Sequence[Sequence[Message]]) -> str | None:
    for side, name, talk in zip("ab", names, talks, strict=True):
        telltale = Telltale(telling_words([name]))
        for message in talk:
            if message.role == "assistant":
                telltale.feed(message.text)
                telltale.finish()
        if telltale.told is not None:
            return f"Side {side} gave its model away: it said {telltale.told!r}."
    return None
