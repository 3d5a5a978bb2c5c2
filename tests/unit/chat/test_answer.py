import json
from typing import Any

import pytest

from argosy.chat.answer import Answer
from argosy.chat.asking import json_text
from argosy.errors import ArgosyError


def piece(**delta: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


LAST = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}


def test_an_answer_tells_its_tokens_and_times() -> None:
    answer = Answer(asked_at=10.0)
    for at, event in [
        (10.0, piece(role="assistant", content="")),
        (10.5, piece(content="Hel")),
        (12.0, piece(content="lo")),
    ]:
        answer.take(event, at)
    answer.take(LAST, 12.0)
    answer.take(USAGE, 12.5)
    figures = answer.figures()
    assert answer.said == "Hello"
    assert (figures.first_token_seconds, figures.seconds, figures.tokens_per_second) == (0.5, 2.5, 2.0)
    assert figures.text() == ("5 tokens, 2.0 tokens/s, first token after 0.50 s, 2.50 s in all, prompt of 7 tokens")
    told = json.loads(json_text(answer, "alias"))
    assert (told["model"], told["content"], told["usage"]["completion_tokens"]) == ("m", "Hello", 5)


def test_an_answer_that_came_at_once_has_no_pace() -> None:
    answer = Answer(0.0)
    for event in (piece(content="Hello"), USAGE):
        answer.take(event, 1.0)
    assert answer.figures().tokens_per_second is None


def test_without_usage_pieces_are_counted_and_said_to_be() -> None:
    answer = Answer(0.0)
    answer.take(piece(content="a"), 1.0)
    assert answer.figures().text() == "about 1 tokens, first token after 1.00 s, 1.00 s in all, stopped"
    assert json.loads(json_text(answer, "m"))["usage"] is None


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_what_is_thought_is_not_said(field: str) -> None:
    answer = Answer(0.0)
    answer.take(piece(**{field: "hm"}), 1.0)
    answer.take(piece(content="yes"), 2.0)
    assert (answer.thought, answer.said) == ("hm", "yes")


@pytest.mark.parametrize("error", [{"message": "it died"}, "it died"])
def test_an_error_in_a_stream_ends_it(error: Any) -> None:
    with pytest.raises(ArgosyError, match="it died"):
        Answer(0.0).take({"error": error}, 1.0)
