"""OpenAI requests as a FastChat worker wants them, and its frames as OpenAI clients want them. Pure.

What FastChat's own API server did with a request is kept (its default temperature, the template's stops); what it left
out is not: usage, finish reasons, errors with their cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from argosy.errors import BadRequestError, OverloadedError, RequestError, UpstreamError
from argosy.fastchat.frames import Frame
from argosy.fastchat.templates import Template
from argosy.protocol.endpoints import CHAT

DEFAULT_TEMPERATURE = 0.7  # of FastChat's API server; OpenAI's is 1
_CONTEXT_OVERFLOW, _OUT_OF_MEMORY = 40303, 50002
_HIDES_THE_CAUSE = re.compile(r"\*\*NETWORK ERROR DUE TO HIGH TRAFFIC\..*?\*\*\s*", re.DOTALL)
_UNFINISHED = "�"  # a character of which not all bytes are there yet


class Part(msgspec.Struct, frozen=True):
    type: str
    text: str = ""


class Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[Part] | None = None

    def said(self) -> str:
        """Raises BadRequestError for what is no text."""
        if isinstance(self.content, list):
            for part in self.content:
                if part.type not in ("text", "input_text"):
                    raise BadRequestError(f"A FastChat worker takes texts alone, no {part.type!r}.", param="messages")
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class GenerationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A chat or a completion, checked by the gateway already."""

    messages: list[Message] = []
    prompt: str | list[str | int | list[int]] = ""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    tools: list[Any] | None = None

    @property
    def most_tokens(self) -> int | None:
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    def prompts(self, path: str, template: Template) -> list[str]:
        """One for each choice, those of one prompt behind each other. Raises BadRequestError, UpstreamError."""
        if self.tools:
            raise BadRequestError(
                "Unsupported parameter: 'tools' is nothing that a FastChat worker heeds: leave it out, or ask a model"
                " on another engine.",
                param="tools",
                code="unsupported_parameter",
            )
        if path == CHAT:
            texts = [template.prompt([(message.role, message.said()) for message in self.messages])]
        else:
            given = [self.prompt] if isinstance(self.prompt, str) else self.prompt
            texts = [each for each in given if isinstance(each, str)]
            if len(texts) != len(given):
                raise BadRequestError("A FastChat worker takes prompts as text, not as token ids.", param="prompt")
        return [text for text in texts for _ in range(self.n or 1)]

    def params(self, model: str, prompt: str, most_tokens: int, template: Template) -> dict[str, Any]:
        """The worker request for one choice."""
        asked = [self.stop] if isinstance(self.stop, str) else self.stop or []
        given: dict[str, Any] = {
            "model": model,
            "prompt": prompt,
            "temperature": DEFAULT_TEMPERATURE if self.temperature is None else self.temperature,
            "top_p": 1.0 if self.top_p is None else self.top_p,
            "top_k": -1 if self.top_k is None else self.top_k,
            "presence_penalty": self.presence_penalty or 0.0,
            "frequency_penalty": self.frequency_penalty or 0.0,
            "max_new_tokens": most_tokens,
            "stop": list(dict.fromkeys([*asked, *template.stops])),
            "stop_token_ids": template.stop_token_ids,
            "echo": False,
        }
        if self.repetition_penalty is not None:
            given["repetition_penalty"] = self.repetition_penalty
        return given


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True):
    input: str | list[str | int | list[int]]
    encoding_format: str | None = None

    def texts(self) -> list[str]:
        """Raises BadRequestError."""
        given = [self.input] if isinstance(self.input, str) else self.input
        texts = [each for each in given if isinstance(each, str)]
        if len(texts) != len(given):
            raise BadRequestError("A FastChat worker takes inputs as text, not as token ids.", param="input")
        return texts


def bounded(model: str, asked: int | None, context: int | None, prompt_tokens: int) -> int:
    """How many tokens the answer may have: FastChat's workers drop a prompt's first tokens where that is too many.

    Raises BadRequestError for a prompt that leaves no room.
    """
    if context is None:
        return asked if asked is not None else 2048
    room = context - prompt_tokens - 1
    if room <= 0:
        raise BadRequestError(
            f"This model's maximum context length is {context} tokens. However, your messages resulted in"
            f" {prompt_tokens} tokens. Please reduce the length of the messages ({model}).",
            param="messages",
            code="context_length_exceeded",
        )
    return room if asked is None else min(asked, room)


def fault_of(code: int, text: str, worker: str) -> RequestError | None:
    """What an error code means to a client, 0 for none: the cause, not the words that FastChat puts before it."""
    if code == 0:
        return None
    cause = _HIDES_THE_CAUSE.sub("", text).strip().removeprefix("(").removesuffix(")") or "it tells no cause"
    told = f"The FastChat worker at {worker} failed (error {code}): {cause}"
    if code == _CONTEXT_OVERFLOW:
        return BadRequestError(told, code="context_length_exceeded")
    if 40000 <= code < 42900:
        return BadRequestError(told)
    if 42900 <= code < 43000:
        return OverloadedError(told, code="engine_overloaded")
    return UpstreamError(told, code="engine_out_of_memory" if code == _OUT_OF_MEMORY else None)


@dataclass
class Choice:
    """One choice of an answer as its frames come: `text` only grows, and is told in pieces."""

    index: int
    most_tokens: int
    text: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    _held: str = field(default="", repr=False)

    def take(self, frame: Frame) -> str:
        """What is new in it. A frame without an error."""
        if frame.usage is not None:
            self.prompt_tokens, self.completion_tokens = frame.usage.prompt_tokens, frame.usage.completion_tokens
        self.finish_reason = frame.ended_by or self.finish_reason
        whole = frame.text.rstrip(_UNFINISHED)
        self._held = frame.text[len(whole) :]
        return self._grown(whole)

    def end(self) -> str:
        """What was held back and stays as it is; decides the finish reason where the worker told none."""
        rest = self._grown(self.text + self._held)
        if self.finish_reason not in ("stop", "length"):
            cut = self.completion_tokens is not None and self.completion_tokens >= self.most_tokens
            self.finish_reason = "length" if cut else "stop"
        return rest

    def _grown(self, whole: str) -> str:
        # A stop text that was found shortens what was said; what is out cannot be taken back.
        new = whole[len(self.text) :]
        self.text += new
        return new


@dataclass(frozen=True)
class Wording:
    """The OpenAI objects of one answer."""

    path: str
    id: str
    created: int
    model: str

    def opening(self, choices: int) -> Iterator[dict[str, Any]]:
        if self.path == CHAT:
            for index in range(choices):
                yield self._chunk(index, {"delta": {"role": "assistant", "content": ""}}, None)

    def piece(self, index: int, text: str) -> dict[str, Any]:
        return self._chunk(index, {"delta": {"content": text}} if self.path == CHAT else {"text": text}, None)

    def ending(self, choice: Choice) -> dict[str, Any]:
        return self._chunk(choice.index, {"delta": {}} if self.path == CHAT else {"text": ""}, choice.finish_reason)

    def counted(self, usage: Mapping[str, int]) -> dict[str, Any]:
        return {**self._head(chunk=True), "choices": [], "usage": dict(usage)}

    def plain(self, choices: list[Choice], usage: Mapping[str, int]) -> dict[str, Any]:
        said = []
        for choice in choices:
            text = choice.text
            one = {"message": {"role": "assistant", "content": text}} if self.path == CHAT else {"text": text}
            said.append({"index": choice.index, **one, "logprobs": None, "finish_reason": choice.finish_reason})
        return {**self._head(chunk=False), "choices": said, "usage": dict(usage)}

    def _chunk(self, index: int, part: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        choice = {"index": index, **part, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head(chunk=True), "choices": [choice]}

    def _head(self, *, chunk: bool) -> dict[str, Any]:
        kind = "chat.completion" if self.path == CHAT else "text_completion"
        if chunk and self.path == CHAT:
            kind += ".chunk"
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def usage_of(prompts: int, completions: int) -> dict[str, int]:
    return {"prompt_tokens": prompts, "completion_tokens": completions, "total_tokens": prompts + completions}
