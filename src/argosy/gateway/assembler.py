"""A plain answer put together from the events of a stream. Pure; relay work is answers.py's.

For engines that work on after a plain request's client has left, but heed a stream's: they are asked for a stream, the
client gets what it asked for. Formats: https://platform.openai.com/docs/api-reference/chat/streaming and …/completions.
"""

from __future__ import annotations

from typing import Any

import msgspec

from argosy.errors import BrokenAnswerError
from argosy.gateway.repair import counted_together, index_of
from argosy.protocol.endpoints import CHAT
from argosy.protocol.openai import with_counts

_Object = dict[str, Any]
MOST_TOOL_CALLS = 128  # as many as OpenAI takes tools
_EVENT = msgspec.json.Decoder(_Object | None)

# Not JSON, or of another shape than a chunk has.
_MISFITS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError, AttributeError)


class Assembler:
    """Takes whole events as they come, gives the answer at the end. `choices_each`: a prompt's, the request's `n`."""

    def __init__(self, path: str, *, choices_each: int = 1) -> None:
        self._chat = path == CHAT
        self._choices_each = choices_each
        self._answer: _Object = {}
        self._choices: dict[int, _Object] = {}
        self._usage: dict[int, _Object] = {}  # by the choice that it counts, or in the order of its coming
        self.error: _Object | None = None  # what the engine told in the stream instead of an answer

    def feed(self, events: bytes) -> None:
        """Raises BrokenAnswerError for what is no event of an answer."""
        for line in events.splitlines():
            if line.startswith(b"data:") and (data := line[5:].strip()) != b"[DONE]":
                try:
                    event = _EVENT.decode(data)
                    if event is not None:  # llama.cpp sends `null` between the answers of a list of prompts
                        self._take(event)
                except _MISFITS as error:
                    raise BrokenAnswerError(f"the engine sent an event that is none of an answer ({error})") from None

    @property
    def finished(self) -> bool:
        """Every choice has its end."""
        return bool(self._choices) and all(each["finish_reason"] is not None for each in self._choices.values())

    def answer(self) -> bytes:
        """The plain answer as JSON."""
        answer = self._answer
        answer["object"] = "chat.completion" if self._chat else "text_completion"
        answer["choices"] = [self._choices[index] for index in sorted(self._choices)]
        for choice in answer["choices"] if self._chat else ():
            message = choice["message"]
            if message.get("content") is None and not message.get("tool_calls"):
                message["content"] = ""  # nothing was said, in no piece
        if self._usage:
            answer["usage"] = counted_together(self._usage, self._choices_each)
        return msgspec.json.encode(answer)

    def refusal(self) -> tuple[int, bytes]:
        """The error that came instead of an answer: the status that it names (else 500), and its envelope."""
        assert self.error is not None
        code = self.error.get("code")
        status = code if isinstance(code, int) and 400 <= code < 600 else 500
        return status, msgspec.json.encode({"error": self.error})

    def _take(self, event: _Object) -> None:
        if isinstance(error := event.get("error"), dict):
            self.error = error
            return
        choices = event.pop("choices", None) or ()
        for part in choices:
            self._add(part)
        usage = event.pop("usage", None)
        if usage is not None:
            self._usage[index_of(choices[0]) if choices else len(self._usage)] = with_counts(usage)
        self._answer.update(event)

    def _add(self, part: _Object) -> None:
        index = index_of(part)
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = {"index": index, "finish_reason": None}
            if self._chat:
                choice["message"] = {"role": "assistant", "content": None}
        if self._chat:
            part["message"] = part.pop("delta", None)
        _merge(choice, part)


_PIECES = ("content", "text", "reasoning_content", "reasoning", "refusal", "arguments")  # texts that come bit by bit


def _merge(whole: _Object, part: _Object) -> None:
    for name, value in part.items():
        known = whole.get(name)
        if name == "tool_calls":
            calls = whole.setdefault(name, [])
            for call in value or ():
                at = call.pop("index", len(calls))
                if not 0 <= at < MOST_TOOL_CALLS:
                    raise LookupError(f"tool call {at}")
                calls += [{} for _ in range(at + 1 - len(calls))]
                _merge(calls[at], call)
        elif known is None:
            whole[name] = value
        elif isinstance(known, dict):
            _merge(known, value or {})
        elif isinstance(known, list):
            known += value or ()
        elif name in _PIECES:
            whole[name] = known + (value or "")
        elif value is not None:
            whole[name] = value
