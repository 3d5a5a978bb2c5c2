"""What an engine's stream lacks of the OpenAI wire is made good here, for the streams of engines that need it. Pure.

`ChoiceRepair` reads every event: for llama.cpp's streams of several choices, each of which it counts by itself, and for
its completions, whose usage and logprobs it tells otherwise. `EndRepair` looks at names alone: for engines that nobody
knows, whose streams may lack a finish reason or the usage that was asked for. Both take whole events, as Hold does,
[DONE] last. Formats: https://platform.openai.com/docs/api-reference/chat/streaming and …/completions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from argosy.errors import BrokenAnswerError
from argosy.protocol.openai import Usage, with_counts
from argosy.wire.sse import split_events

_Object = dict[str, Any]
_Before = Callable[[bytes], bytes]
_EVENT = msgspec.json.Decoder(_Object | None)
_DONE = b"[DONE]"
LATEST_PARTS, LATEST_BYTES = 8, 8192  # of a stream, and of each part, in which finish reason and usage are looked for


class ChoiceRepair:
    """`choices_each`: a prompt's, the request's `n`; `apart`: each choice's tokens are told by themselves; `before`
    takes out what the gateway asked for itself.
    """

    def __init__(
        self, *, chat: bool, choices_each: int, apart: bool, wants_usage: bool, before: _Before | None
    ) -> None:
        self._chat = chat
        self._apart = apart
        self._choices_each = choices_each
        self._wants_usage = wants_usage
        self._before = before
        self._head: _Object = {}  # of an event: id, model …
        self._finished: dict[int, bool] = {}  # choice → it has told its finish reason
        self._offsets: dict[int, int] = {}  # choice → characters said, for logprobs
        self._counts: dict[int, _Object] = {}
        self._events = 0

    @property
    def usage(self) -> Usage | None:
        """Of all choices together, once all is said."""
        if not self._counts:
            return None
        counted = counted_together(self._counts, self._choices_each)
        return Usage(counted.get("prompt_tokens", 0), counted.get("completion_tokens", 0))

    def __call__(self, events: bytes) -> bytes:
        """Raises BrokenAnswerError for what is no event of an answer."""
        if self._before is not None:
            events = self._before(events)
        return b"".join(map(self._repaired, split_events(events)))

    def _repaired(self, event: bytes) -> bytes:
        line = event.strip()
        if not line.startswith(b"data:"):
            return event
        if line.endswith(_DONE):
            return self._ending() + event
        try:
            told = _EVENT.decode(line[5:])
            if told is None:  # llama.cpp sends `null` between the answers of a list of prompts
                return b""
            return event if "error" in told else self._taken(event, told)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError) as error:
            raise BrokenAnswerError(f"the engine sent an event that is none of an answer ({error})") from None

    def _taken(self, event: bytes, told: _Object) -> bytes:
        choices = told.get("choices") or []
        self._events += bool(choices)
        changed = self._count(told, choices)
        for choice in choices:
            index = index_of(choice)
            self._finished[index] = self._finished.get(index, False) or choice.get("finish_reason") is not None
            if not self._chat:
                changed = self._with_own_logprobs(choice) or changed
        self._head = {name: value for name, value in told.items() if name in ("id", "object", "created", "model")}
        if not choices and changed:
            return b""  # told only usage, which comes at the end
        return b"data: " + msgspec.json.encode(told) + b"\n\n" if changed else event

    def _count(self, told: _Object, choices: list[_Object]) -> bool:
        """Notes a choice's tokens; takes usage out of the event where it is not that of all."""
        usage = told.get("usage")
        if not self._apart:
            if usage is not None:
                self._counts = {0: with_counts(usage)}
            return False
        key = index_of(choices[0]) if choices else len(self._counts)
        if usage is not None:
            self._counts[key] = with_counts(told.pop("usage"))
        elif timings := told.get("timings"):
            read, said = timings["prompt_n"] + timings["cache_n"], timings["predicted_n"]
            self._counts[key] = with_counts({"prompt_tokens": read, "completion_tokens": said})
        return usage is not None

    def _with_own_logprobs(self, choice: _Object) -> bool:
        """A completion's logprobs in a completion's shape, where they come in that of a chat."""
        at = self._offsets.get(choice["index"], 0)
        self._offsets[choice["index"]] = at + len(choice.get("text") or "")
        told = choice.get("logprobs")
        if not told or "content" not in told:
            return False
        tokens, offsets = told["content"] or [], []
        for each in tokens:
            offsets.append(at)
            at += len(each["token"])
        choice["logprobs"] = {
            "tokens": [each["token"] for each in tokens],
            "token_logprobs": [each["logprob"] for each in tokens],
            "top_logprobs": [{top["token"]: top["logprob"] for top in each["top_logprobs"]} for each in tokens],
            "text_offset": offsets,
        }
        return True

    def _ending(self) -> bytes:
        if not self._head:
            return b""
        added = [
            _event(self._head, [_finish(index, chat=self._chat)])
            for index, finished in sorted(self._finished.items())
            if not finished
        ]
        if self._wants_usage and not self._counts:
            added.append(_event(self._head, [], _estimate(self._events)))
        elif self._wants_usage and self._apart:
            added.append(_event(self._head, [], counted_together(self._counts, self._choices_each)))
        return b"".join(added)


class EndRepair:
    """Of a stream with one choice. Where usage was asked for and not told, the tokens said are counted by events.

    Looks at a stream's end alone: a search through every part would cost more than all else that is done with it.
    """

    def __init__(self, *, chat: bool, wants_usage: bool, before: _Before | None) -> None:
        self._chat = chat
        self._wants_usage = wants_usage
        self._before = before
        self._events = 0
        self._latest: deque[bytes] = deque(maxlen=LATEST_PARTS)

    def __call__(self, events: bytes) -> bytes:
        if self._wants_usage:
            self._events += events.count(b"\n\n")
        if _DONE in events[-16:]:
            events = self._ended(events)
        elif events:
            self._latest.append(events[-LATEST_BYTES:])
        return events if self._before is None else self._before(events)

    def _ended(self, events: bytes) -> bytes:
        finished, counted = self._said_in(events[-LATEST_BYTES:])
        if finished and counted:
            return events  # as nearly all
        latest = b"".join(self._latest) + events
        finished, counted = self._said_in(latest)
        if finished and counted:
            return events
        at = events.rfind(b"data:")
        head = _head(latest[: len(latest) - len(events) + at])
        if head is None:
            return events  # an error, or nothing, came before
        added = b"" if finished else _event(head, [_finish(0, chat=self._chat)])
        if not counted:
            added += _event(head, [], _estimate(self._events - 1))  # [DONE] was counted too
        return events[:at] + added + events[at:]

    def _said_in(self, events: bytes) -> tuple[bool, bool]:
        """Whether they say why the answer ended, and the usage, should that be wanted."""
        # From the end, where they are.
        return (
            events.rfind(b'"finish_reason":"') >= 0 or events.rfind(b'"finish_reason": "') >= 0,
            not self._wants_usage or events.rfind(b'"usage":{') >= 0 or events.rfind(b'"usage": {') >= 0,
        )


def index_of(choice: _Object) -> int:
    """Raises LookupError or TypeError where it is no choice of an answer."""
    index = choice["index"]
    if type(index) is not int:
        raise TypeError(f"index {index!r:.20} of a choice")
    return index


def counted_together(counts: dict[int, _Object], choices_each: int) -> _Object:
    """All choices' tokens, where the engine counts each by itself; a prompt is read once for its `choices_each`.

    `counts`: by the choice that is counted, or in the order of their coming.
    """
    usage = dict(list(counts.values())[-1])
    if len(counts) > 1:
        usage["completion_tokens"] = sum(each.get("completion_tokens", 0) for each in counts.values())
        usage["prompt_tokens"] = sum(
            each.get("prompt_tokens", 0) for index, each in counts.items() if index % choices_each == 0
        )
    if "prompt_tokens" in usage and "completion_tokens" in usage:
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
    return usage


def _head(events: bytes) -> _Object | None:
    """What the last event of an answer's choices begins with; None where the last one is something else."""
    for event in reversed(split_events(events)):
        try:
            told = _EVENT.decode(event.strip().removeprefix(b"data:"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if not told or "choices" not in told:
            return None
        return {name: told[name] for name in ("id", "object", "created", "model") if name in told}
    return None


def _estimate(events: int) -> _Object:
    """Where an engine has counted nothing: an event is about a token."""
    return {"prompt_tokens": 0, "completion_tokens": events, "total_tokens": events, "estimated": True}


def _finish(index: int, *, chat: bool) -> _Object:
    said: _Object = {"delta": {}} if chat else {"text": "", "logprobs": None}
    return {"index": index, **said, "finish_reason": "stop"}


def _event(head: _Object, choices: list[_Object], usage: _Object | None = None) -> bytes:
    told = {**head, "choices": choices} | ({"usage": usage} if usage is not None else {})
    return b"data: " + msgspec.json.encode(told) + b"\n\n"
