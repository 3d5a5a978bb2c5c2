"""A chat with one side of a battle: goes through the OpenAI surface like any chat, its model set, its answer scrubbed.

Only the fields that every model knows are taken: another would have an engine tell itself, by what it does with it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgspec

from argosy.arena.battles import Battle, Conversation
from argosy.arena.language import language_of
from argosy.arena.scrub import Scrub
from argosy.arena.telling import Telltale
from argosy.errors import BadRequestError
from argosy.gateway.comments import COMMENT
from argosy.protocol.endpoints import CHAT
from argosy.protocol.openai import fields_of
from argosy.protocol.peek import peek
from argosy.wire.request_cycle import RequestCycle
from argosy.wire.request_head import RequestHead

TAKEN = (
    "messages",
    "stream",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
)
_IGNORED = ("user", "stream_options")  # SDKs send them; usage is told of no side
LONGEST_KEPT_CHARACTERS = 50_000  # of one side's conversation: many battles wait for their vote
_JSON = b"content-type: application/json\r\nx-request-id: %b\r\n"
_STREAM = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-request-id: %b\r\n"


class _Message(msgspec.Struct):
    """What a side is told of a message: an engine may know more fields, and show by them which it is."""

    role: str
    content: str | list[dict[str, Any]] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part["text"] for part in self.content if isinstance(part.get("text"), str))
        return self.content or ""


class _Messages(msgspec.Struct):
    messages: list[_Message]


_MESSAGES = msgspec.json.Decoder(_Messages)


@dataclass(frozen=True)
class Question:
    """`asked` is the same for both sides where they are asked the same; what they answered before differs."""

    body: bytes  # for the OpenAI surface
    asked: bytes
    conversation: Conversation
    turns: int

    @classmethod
    def of(cls, body: bytes, model: str) -> Question:
        """Raises BadRequestError, which tells of the body alone."""
        fields = fields_of(body)
        for name in fields:
            if name == "model":
                raise BadRequestError(
                    "The model of a side is drawn by the server: leave 'model' out.",
                    param="model",
                    code="unknown_parameter",
                )
            if name not in TAKEN and name not in _IGNORED:
                raise BadRequestError(
                    f"Unrecognized request argument supplied: {name[:40]}; taken here are {', '.join(TAKEN)}.",
                    param=name[:40],
                    code="unknown_parameter",
                )
        taken: dict[str, Any] = {name: value for name, value in fields.items() if name in TAKEN}
        peek(CHAT, msgspec.json.encode({**taken, "model": model}))
        try:
            messages = _MESSAGES.decode(body).messages
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequestError(f"Invalid 'messages': {error}", param="messages", code="invalid_type") from None
        whole = msgspec.json.encode({**taken, "messages": messages, "model": model})
        others = [(each.role, each.content) for each in messages if each.role != "assistant"]
        settings = sorted((name, bytes(value)) for name, value in taken.items() if name not in ("messages", "stream"))
        asked = hashlib.sha256(msgspec.json.encode((others, settings))).digest()
        conversation = tuple((each.role, each.text()) for each in messages)
        return cls(whole, asked, conversation, sum(each.role == "user" for each in messages))

    @property
    def first(self) -> str:
        return next((text for role, text in self.conversation if role == "user"), "")


async def chat(
    battle: Battle,
    name: str,
    question: Question,
    request: RequestCycle,
    *,
    request_id: bytes,
    surface: Callable[[SideRequest], Coroutine[Any, Any, None]],
    keep: bool,
) -> None:
    """Asks a side that has begun (`Battle.begin`). `keep`: with the vote, also what was said."""
    side = battle.side(name)
    said: list[str] = []
    telltale = Telltale(side.words)

    def hear(text: str) -> None:
        said.append(text)
        telltale.feed(text)

    scrub = Scrub(name, f"chatcmpl-{secrets.token_hex(12)}", int(time.time()), hear)
    try:
        await surface(SideRequest(request, question.body, request_id, scrub))
    finally:
        side.busy = False
        telltale.finish()
        side.told = side.told or telltale.told
        if said:
            conversation = (*question.conversation, ("assistant", "".join(said))) if keep else ()
            if sum(len(text) for _, text in conversation) > LONGEST_KEPT_CHARACTERS:
                conversation = ()
            side.answered(question.asked, question.turns, conversation)
            battle.language = battle.language or language_of(question.first, battle.hint)


class SideRequest:
    """A request to the OpenAI surface made out of one to a side; its answer goes to the side's client scrubbed.

    Has what that surface uses of a RequestCycle. What it would tell by `told` (of limits in tokens) is not told.
    """

    def __init__(self, request: RequestCycle, body: bytes, request_id: bytes, scrub: Scrub) -> None:
        self._request = request
        self._body = body
        self._request_id = request_id
        self._scrub = scrub
        self._status = 200
        self._streams = False
        self._whole: list[bytes] = []
        self.head: RequestHead = dataclasses.replace(
            request.head, path=CHAT, fields={**request.head.fields, b"x-request-id": request_id}
        )
        self.length: int | None = len(body)
        self.message_complete = True
        self.task = request.task
        self.told: tuple[Callable[[], bytes], ...] = ()

    @property
    def client(self) -> tuple[str, int] | None:
        return self._request.client

    def take(self) -> bytes:
        return self._body

    async def more(self) -> None:
        """It is all there."""

    def answer(self, status: int, lines: bytes, body: bytes) -> None:
        status, body = self._scrub.plain(body) if status < 400 else self._scrub.refusal(status, body)
        told = _JSON % self._request_id
        told += b"".join(line + b"\r\n" for line in lines.split(b"\r\n") if line.startswith(b"retry-after:"))
        self._request.answer(status, told, body)

    def begin(self, status: int, lines: bytes, length: int | None = None) -> None:
        self._status = status
        self._streams = b"text/event-stream" in lines and status < 400
        if self._streams:
            self._request.begin(200, _STREAM % self._request_id)

    def write(self, data: bytes) -> bool:
        if not self._streams:
            self._whole.append(data)
            return True
        if data == COMMENT:
            return self._request.write(data)
        shown = self._scrub.events(data)
        return self._request.write(shown) if shown else True

    def end(self, data: bytes = b"") -> None:
        if self._streams:
            self._request.end(self._scrub.events(data))
        else:
            self.answer(self._status, b"", b"".join([*self._whole, data]))

    async def writable(self) -> None:
        await self._request.writable()
