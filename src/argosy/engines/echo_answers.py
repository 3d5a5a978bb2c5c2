"""What the echo engine says: requests read, answers worded. Pure: time, sockets and faults are echo_server.py's.

The answer is the last user message (or the prompt) again, token by token; of a chat that wants JSON the least value of
its schema, with that message for texts. A token is a word with the blanks before it,
or one CJK character. `max_tokens` cuts it (finish_reason "length"); with `ignore_eos: true`, which vLLM and llama.cpp
know too, it begins again until `max_tokens` are said. It ends before a text of `stop`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from argosy.engines.echo_json import Schema, value_of

_TOKEN = re.compile(r"\s*(?:[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)")
_FAULT = re.compile(r"!(crash|exit|hang|stall|break|status)(?: after (\d+)| (\d{3}))?")


# One text or several, in words or in tokens. Of tokens echo knows no words: it says their numbers.
Given = str | list[str | int | list[int]]


class Message(msgspec.Struct):
    role: str
    content: str | list[dict[str, Any]] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class Request(msgspec.Struct, kw_only=True):
    """The fields of a chat or a completion that echo heeds."""

    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    ignore_eos: bool = False
    stop: str | list[str] | None = None


class JsonSchema(msgspec.Struct):
    schema: Schema


class ResponseFormat(msgspec.Struct):
    type: str
    json_schema: JsonSchema | None = None


class ChatRequest(Request, kw_only=True):
    messages: list[Message]
    response_format: ResponseFormat | None = None


class CompletionRequest(Request, kw_only=True):
    prompt: Given


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    input: Given
    encoding_format: str = "float"
    dimensions: int | None = None


@dataclass(frozen=True)
class Fault:
    """What a prompt asked to go wrong, after how many tokens; `status` for `!status 500`."""

    kind: str
    after: int = 0
    status: int = 500


@dataclass(frozen=True)
class Choice:
    tokens: tuple[str, ...]
    finish_reason: str


@dataclass(frozen=True)
class Answer:
    """All that will be said to one request."""

    kind: str  # chat.completion | text_completion
    id: str
    created: int
    model: str
    choices: tuple[Choice, ...]
    prompt_tokens: int
    stream: bool
    include_usage: bool
    fault: Fault | None

    def plain(self) -> dict[str, Any]:
        said = [
            {"index": index, **self._whole("".join(choice.tokens)), "finish_reason": choice.finish_reason}
            for index, choice in enumerate(self.choices)
        ]
        return {**self._head(self.kind), "choices": said, "usage": self.usage()}

    def events(self) -> Iterator[tuple[bool, dict[str, Any]]]:
        """(whether it carries a token, the event), in order; the choices take turns."""
        kind = "chat.completion.chunk" if self.kind == "chat.completion" else self.kind
        head = self._head(kind)
        if self.kind == "chat.completion":
            for index in range(len(self.choices)):
                delta = {"role": "assistant", "content": ""}
                yield False, {**head, "choices": [{"index": index, "delta": delta, "finish_reason": None}]}
        for turn in range(max((len(choice.tokens) for choice in self.choices), default=0)):
            for index, choice in enumerate(self.choices):
                if turn < len(choice.tokens):
                    part = {"index": index, **self._part(choice.tokens[turn]), "finish_reason": None}
                    yield True, {**head, "choices": [part]}
        for index, choice in enumerate(self.choices):
            last = {"index": index, **self._part(None), "finish_reason": choice.finish_reason}
            yield False, {**head, "choices": [last]}
        if self.include_usage:
            yield False, {**head, "choices": [], "usage": self.usage()}

    def usage(self) -> dict[str, int]:
        said = sum(len(choice.tokens) for choice in self.choices)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": said,
            "total_tokens": self.prompt_tokens + said,
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _whole(self, text: str) -> dict[str, Any]:
        if self.kind == "chat.completion":
            return {"message": {"role": "assistant", "content": text}}
        return {"text": text, "logprobs": None}

    def _part(self, token: str | None) -> dict[str, Any]:
        if self.kind == "chat.completion":
            return {"delta": {} if token is None else {"content": token}}
        return {"text": token or "", "logprobs": None}


def answer_chat(body: bytes, *, model: str, number: int, now: float, faults: bool) -> Answer:
    """Raises msgspec.DecodeError for a body that is no chat request, or that wants JSON of a schema beyond echo."""
    request = msgspec.json.decode(body, type=ChatRequest)
    asked = next((message.text() for message in reversed(request.messages) if message.role == "user"), "")
    return Answer(
        kind="chat.completion",
        id=f"chatcmpl-echo-{number}",
        created=int(now),
        model=model,
        choices=(_choice(_bound(asked, request.response_format), request),) * (request.n or 1),
        prompt_tokens=sum(len(tokens(message.text())) for message in request.messages),
        stream=request.stream,
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        fault=find_fault(asked) if faults else None,
    )


def answer_completion(body: bytes, *, model: str, number: int, now: float, faults: bool) -> Answer:
    """Raises msgspec.DecodeError for a body that is no completion request."""
    request = msgspec.json.decode(body, type=CompletionRequest)
    prompts = texts_of(request.prompt)
    return Answer(
        kind="text_completion",
        id=f"cmpl-echo-{number}",
        created=int(now),
        model=model,
        choices=tuple(_choice(prompt, request) for prompt in prompts for _ in range(request.n or 1)),
        prompt_tokens=sum(len(tokens(prompt)) for prompt in prompts),
        stream=request.stream,
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        fault=next(filter(None, map(find_fault, prompts)), None) if faults else None,
    )


def answer_embeddings(body: bytes, *, model: str, dimensions: int) -> dict[str, Any]:
    """Raises msgspec.DecodeError for a body that is no embedding request."""
    request = msgspec.json.decode(body, type=EmbeddingRequest)
    texts = texts_of(request.input)
    data = []
    for index, text in enumerate(texts):
        numbers = embedding(text, request.dimensions or dimensions)
        packed = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
        vector = packed if request.encoding_format == "base64" else numbers
        data.append({"object": "embedding", "index": index, "embedding": vector})
    read = sum(len(tokens(text)) for text in texts)
    usage = {"prompt_tokens": read, "total_tokens": read}
    return {"object": "list", "model": model, "data": data, "usage": usage}


class TokenizeRequest(msgspec.Struct, kw_only=True):
    """As llama.cpp or as vLLM asks it."""

    content: str | None = None
    prompt: str | None = None


def answer_tokenize(body: bytes, *, context: int) -> dict[str, Any]:
    """Raises msgspec.DecodeError for a body that is no such request."""
    request = msgspec.json.decode(body, type=TokenizeRequest)
    told = tokens(request.content if request.content is not None else request.prompt or "")
    numbers = [zlib.crc32(token.encode()) & 0xFFFF for token in told]
    return {"tokens": numbers, "count": len(numbers), "max_model_len": context}


def texts_of(given: Given) -> list[str]:
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [" ".join(map(str, given))]
    return [each if isinstance(each, str) else " ".join(map(str, each)) for each in given if not isinstance(each, int)]


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def find_fault(text: str) -> Fault | None:
    found = _FAULT.search(text)
    if found is None:
        return None
    kind, after, status = found.groups()
    return Fault(kind, int(after or 0), int(status or 500))


def embedding(text: str, dimensions: int) -> list[float]:
    """A unit vector that depends on the text alone."""
    raw = hashlib.shake_256(text.encode()).digest(4 * dimensions)
    numbers = [number / 2**31 for number in struct.unpack(f"<{dimensions}i", raw)]
    length = math.hypot(*numbers) or 1.0
    return [number / length for number in numbers]


def _bound(text: str, wanted: ResponseFormat | None) -> str:
    if wanted is None or wanted.type == "text":
        return text
    value = {"text": text} if wanted.json_schema is None else value_of(wanted.json_schema.schema, text)
    return json.dumps(value, ensure_ascii=False)  # with blanks: tokens begin there


def _choice(text: str, request: Request) -> Choice:
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    text = text[: min((at for stop in stops if stop and (at := text.find(stop)) >= 0), default=None)]
    words, most = tokens(text), request.max_completion_tokens or request.max_tokens
    if most is None:
        return Choice(tuple(words), "stop")
    if request.ignore_eos and words:
        return Choice(tuple(words[index % len(words)] for index in range(most)), "length")
    return Choice(tuple(words[:most]), "length" if len(words) > most else "stop")
