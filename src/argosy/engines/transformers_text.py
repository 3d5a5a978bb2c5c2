"""Text out of tokens as they come, for transformers_server.py: whole characters, and nothing beyond a stop word. Pure.

Runs in environments without Argosy: the standard library alone, Python 3.9.
"""

from __future__ import annotations

from typing import Callable, List, Sequence


class TextStream:
    """Of one answer. `decode` turns tokens into text; what it makes of the last ones may still change."""

    def __init__(self, decode: Callable[[List[int]], str], stops: Sequence[str]) -> None:
        self._decode = decode
        self._stops = [stop for stop in stops if stop]
        self._tokens: List[int] = []
        self._settled = 0  # tokens whose text can change no more; the next are decoded with a few of them before
        self._from = 0
        self._pending = ""  # text that may be the beginning of a stop word
        self.stopped = False  # by one

    def add(self, token: int) -> str:
        """What can be said now."""
        self._tokens.append(token)
        before = self._decode(self._tokens[self._from : self._settled])
        now = self._decode(self._tokens[self._from :])
        if len(now) <= len(before) or now.endswith("\ufffd"):  # a character of several tokens
            return ""
        self._from, self._settled = self._settled, len(self._tokens)
        return self._until_a_stop(now[len(before) :])

    def end(self) -> str:
        """What was held back."""
        if self.stopped:
            return ""
        before = self._decode(self._tokens[self._from : self._settled])
        rest = self._decode(self._tokens[self._from :])[len(before) :]
        said = self._until_a_stop(rest)
        said, self._pending = said + ("" if self.stopped else self._pending), ""
        return said

    def _until_a_stop(self, text: str) -> str:
        text = self._pending + text
        found = [at for at in (text.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self.stopped, self._pending = True, ""
            return text[: min(found)]
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._pending = text[len(text) - held :]
        return text[: len(text) - held]


def _overlap(text: str, stop: str) -> int:
    """How much of the text's end may be the stop word's beginning."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if stop.startswith(text[-length:]):
            return length
    return 0
