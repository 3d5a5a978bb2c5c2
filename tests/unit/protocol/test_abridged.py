"""A long chat is looked into without its texts: what is found is the same."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.errors import BadRequestError
from argosy.protocol import endpoints
from argosy.protocol.abridged import SHORT_BYTES, abridged
from argosy.protocol.peek import ChatPeek, peek

_decode = msgspec.json.Decoder(ChatPeek).decode
_LONG = "The quick brown fox. " * 1000


def _chat(*texts: str, **more: object) -> bytes:
    messages = [{"role": "user", "content": text} for text in texts]
    return json.dumps({"model": "m", "messages": messages, **more}, ensure_ascii=False).encode()


_text = st.lists(
    st.tuples(
        st.sampled_from(['"', "\\", "\\\\", "\n", "a", "茶", "\x01", "\\" * 17, "{", "]", ""]), st.integers(0, 7000)
    ),
    max_size=6,
).map(lambda parts: "".join(mark + "x" * length for mark, length in parts))


@given(texts=st.lists(_text, min_size=1, max_size=4), stream=st.booleans())
@settings(max_examples=200, deadline=None)
def test_what_is_found_is_the_same(texts: list[str], stream: bool) -> None:
    body = _chat(*texts, stream=stream, temperature=0.5)
    short = abridged(body)
    assert short is None or (len(short) < len(body) and _decode(short) == _decode(body))


@given(backslashes=st.integers(0, 40), filler=st.integers(9000, 9100))
@settings(max_examples=100, deadline=None)
def test_an_escaped_quote_after_a_long_text_ends_nothing(backslashes: int, filler: int) -> None:
    body = _chat("x" * filler + "\\" * backslashes + '", "role": "nobody"' + "y" * filler)
    short = abridged(body)
    assert short is not None
    assert _decode(short) == _decode(body)


def test_of_a_long_text_little_is_left() -> None:
    assert len(abridged(_chat(_LONG)) or b"") < 100
    assert abridged(_chat(*["short"] * 2000)) is None


def test_a_stretch_outside_of_texts_is_not_lost() -> None:
    """Left out of a number it would make another one; left out of blanks it would make a fault."""
    blanks = _chat("tea").replace(b'"messages": [', b'"messages": [' + b" " * SHORT_BYTES)
    assert peek(endpoints.CHAT, blanks).model == "m"
    digits = _chat("tea", max_tokens=0).replace(b'"max_tokens": 0', b'"max_tokens": 1' + b"0" * SHORT_BYTES)
    with pytest.raises(BadRequestError):
        peek(endpoints.CHAT, digits)


def test_a_fault_behind_a_long_text_is_told_as_ever() -> None:
    with pytest.raises(BadRequestError) as told:
        peek(endpoints.CHAT, _chat(_LONG, temperature=99))
    assert told.value.param == "temperature"
    with pytest.raises(BadRequestError, match="not valid JSON"):
        peek(endpoints.CHAT, _chat(_LONG)[:-1])
