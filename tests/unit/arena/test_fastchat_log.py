"""Votes as lines of FastChat's log, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from argosy.arena.fastchat_log import line_of, vote_of
from argosy.arena.votes import Message, Vote

TALKS = ([Message("user", "hi"), Message("assistant", "yes")], [Message("user", "hi"), Message("assistant", "no")])


def vote(**fields: Any) -> Vote:
    return Vote(
        **{
            "id": "b1",
            "at": 1700000000.25,
            "kind": "anonymous",
            "model_a": "x",
            "model_b": "y",
            "winner": "a",
            "language": "en",
            **fields,
        }
    )


def fastchat(**fields: Any) -> bytes:
    """As FastChat's own web server writes it."""
    state = {
        "template_name": "vicuna_v1.1",
        "system_message": "A chat.",
        "roles": ["USER", "ASSISTANT"],
        "messages": [["USER", "example"], ["ASSISTANT", "answer"], ["USER", "Привет"], ["ASSISTANT", "Да"]],
        "offset": 2,
        "conv_id": "0f",
        "model_name": "vicuna-13b",
    }
    line = {
        "tstamp": 1690000000.5,
        "type": "rightvote",
        "models": ["", ""],
        "states": [state, {**state, "model_name": "alpaca-13b"}],
        "ip": "1.2.3.4",
    }
    return json.dumps({**line, **fields}).encode()


@pytest.mark.parametrize("winner", ["a", "b", "tie", "both_bad"])
@pytest.mark.parametrize("kind", ["anonymous", "named"])
@pytest.mark.parametrize("conversations", [None, TALKS])
def test_a_vote_comes_back_as_it_went(winner: Any, kind: Any, conversations: Any) -> None:
    given = vote(winner=winner, kind=kind, conversations=conversations)
    assert vote_of(line_of(given), keep_conversation=True) == given


def test_a_line_of_fastchats_is_a_vote() -> None:
    found = vote_of(fastchat(), keep_conversation=True)
    assert found is not None
    assert (found.kind, found.model_a, found.model_b, found.winner) == ("anonymous", "vicuna-13b", "alpaca-13b", "b")
    assert (found.language, found.turns, found.at, found.counted) == ("ru", 1, 1690000000.5, True)
    talk = [Message("system", "A chat."), Message("user", "Привет"), Message("assistant", "Да")]
    assert found.conversations == (talk, talk)
    again = vote_of(fastchat() + b"\n", keep_conversation=False)
    assert again is not None
    assert (again.id, again.conversations) == (found.id, None)


def test_names_in_old_pages_headings_are_read() -> None:
    shown = [f"<h3>Model {side}: {name}</h3>\n" for side, name in (("A", "vicuna-13b"), ("B", "alpaca-13b"))]
    found = vote_of(fastchat(models=shown), keep_conversation=False)
    assert found is not None
    assert found.kind == "named"


def test_an_imported_answer_that_tells_its_name_does_not_count() -> None:
    told = {"messages": [["u", "who?"], ["a", "I am Vicuna, by LMSYS."]], "offset": 0, "model_name": "vicuna-13b"}
    other = {"messages": [["u", "who?"], ["a", "A model."]], "offset": 0, "model_name": "alpaca-13b"}
    found = vote_of(fastchat(states=[told, other]), keep_conversation=False)
    assert found is not None
    assert (found.counted, found.why_not) == (False, "Side a gave its model away: it said 'Vicuna'.")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no json",
        b"[]",
        fastchat(type="chat"),
        fastchat(type="upvote"),
        fastchat(models=["", "y"]),
        fastchat(models=[None]),
        fastchat(models=["x", "y"]),  # shown under other names than answered
        fastchat(states=[]),
        fastchat(states=[{"model_name": "x"}, {"model_name": "x"}]),
        fastchat(states=[{"model_name": "x"}, {"model_name": "y\n"}]),
        fastchat(states=[{"model_name": None}, {"model_name": None}]),
        fastchat(tstamp="yesterday"),
    ],
)
def test_what_is_no_vote_between_two_models_is_none(line: bytes) -> None:
    assert vote_of(line, keep_conversation=True) is None


def test_no_address_is_in_a_line() -> None:
    assert json.loads(line_of(vote()))["ip"] == ""
