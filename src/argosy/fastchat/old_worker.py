"""An old FastChat worker as we ask it: how it is, what it counts, its template, its answers. Keeps no state of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from argosy.errors import BrokenAnswerError, UpstreamError
from argosy.fastchat.frames import Frame, FrameReader
from argosy.fastchat.templates import Template
from argosy.wire.client import Client

_ASK_SECONDS = 10.0
_HEAD_SECONDS = 3600.0  # the gateway has the real time limits, and leaves when one is over

T = TypeVar("T")


class WorkerStatus(msgspec.Struct, frozen=True):
    """Of `/worker_get_status`, and of a registration."""

    model_names: list[str]
    speed: float = 1
    queue_length: int = 0


class _Conversation(msgspec.Struct, frozen=True):
    conv: Template


class _Counted(msgspec.Struct, frozen=True):
    count: int


class _Details(msgspec.Struct, frozen=True):
    context_length: int | None = None


class Embeddings(msgspec.Struct, frozen=True):
    """Of `/worker_get_embeddings`: numbers, or base64 where that was asked for; else an error in a frame's words."""

    embedding: list[list[float] | str] = []
    token_num: int = 0
    text: str = ""
    error_code: int = 0


@dataclass(frozen=True)
class OldWorker:
    """`url`: with the address that was checked, not with a name that may lead elsewhere by now."""

    client: Client
    url: str

    async def status(self, seconds: float = _ASK_SECONDS) -> WorkerStatus:
        """Raises UpstreamError."""
        return await self._ask("/worker_get_status", {}, WorkerStatus, seconds)

    async def template(self, model: str) -> Template:
        """Raises UpstreamError."""
        return (await self._ask("/worker_get_conv_template", {"model": model}, _Conversation)).conv

    async def context_length(self, model: str) -> int | None:
        """None: it does not know. Raises UpstreamError."""
        return (await self._ask("/model_details", {"model": model}, _Details)).context_length

    async def count(self, model: str, prompt: str) -> int:
        """Raises UpstreamError."""
        return (await self._ask("/count_token", {"model": model, "prompt": prompt}, _Counted)).count

    async def embeddings(self, model: str, texts: list[str], encoding_format: str | None) -> Embeddings:
        """Raises UpstreamError."""
        params = {"model": model, "input": texts, "encoding_format": encoding_format}
        return await self._ask("/worker_get_embeddings", params, Embeddings, _HEAD_SECONDS)

    async def frames(self, params: dict[str, Any]) -> AsyncGenerator[Frame, None]:
        """Of one answer. To close it early closes the connection, by which the worker stops. Raises UpstreamError."""
        reader = FrameReader()
        async with self.client.stream(
            "POST", f"{self.url}/worker_generate_stream", headers=_JSON, body=_encoded(params), seconds=_HEAD_SECONDS
        ) as answer:
            if answer.status != 200:
                raise BrokenAnswerError(f"the FastChat worker at {self.url} answered with status {answer.status}")
            async for data in answer.chunks():
                for frame in reader.feed(data):
                    yield frame
        reader.end()

    async def _ask(self, path: str, body: dict[str, Any], shape: type[T], seconds: float = _ASK_SECONDS) -> T:
        answer = await self.client.request(
            "POST", f"{self.url}{path}", headers=_JSON, body=_encoded(body), seconds=seconds
        )
        if answer.status != 200:  # a redirect too: it would lead to an address that nobody has checked
            raise UpstreamError(f"the FastChat worker at {self.url} answered {path} with status {answer.status}")
        try:
            return msgspec.json.decode(answer.body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UpstreamError(f"the FastChat worker at {self.url} answered {path} with nonsense: {error}") from None


_JSON = {"content-type": "application/json", "user-agent": "argosy"}
_encoded = msgspec.json.encode
