"""The door that a conversation goes through: a gateway, or anything that speaks the OpenAI wire, with a key for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from argosy.errors import ArgosyError, InputError
from argosy.wire.client import Client
from argosy.wire.sse import SseDecoder
from argosy.wire.tls import Pins

_SECONDS = 3600.0  # the gateway has its own time limits, and says so
_MODELS_SECONDS = 10.0


@dataclass(frozen=True)
class Models:
    """What a door serves. `aliases` stand for one of the `names`."""

    names: tuple[str, ...]
    aliases: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return self.names + self.aliases


class Door:
    def __init__(self, base: str, key: str | None, *, proxies: Mapping[str, str] | None, pins: Pins) -> None:
        self.base = base.rstrip("/") if base.rstrip("/").endswith("/v1") else f"{base.rstrip('/')}/v1"
        self._headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
        self._client = Client(proxies=proxies, pins=pins)

    async def __aenter__(self) -> Door:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def models(self) -> Models:
        answer = await self._client.request(
            "GET", f"{self.base}/models", headers=self._headers, seconds=_MODELS_SECONDS
        )
        if answer.status != 200:
            raise ArgosyError(f"{self.base}: {_error_text(answer.status, answer.body)}")
        try:
            models = json.loads(answer.body)["data"]
            # An alias tells the deployment that it stands for.
            names = [model["id"] for model in models if model.get("root", model["id"]) == model["id"]]
            return Models(tuple(names), tuple(model["id"] for model in models if model["id"] not in names))
        except (ValueError, KeyError, TypeError) as error:
            raise ArgosyError(f"{self.base}/models does not answer as the OpenAI API does") from error

    async def checked(self, model: str) -> str:
        """A model that is served. Raises InputError for another one."""
        there = (await self.models()).all
        if model not in there:
            raise InputError(f"there is no model {model!r} at {self.base}; there are: {', '.join(there)}")
        return model

    async def choose(self, model: str | None, question: str | None) -> tuple[str, str | None]:
        """The model to talk to, and what to ask it. One word that is no model may have been the question."""
        models = await self.models()
        if model is not None and model not in models.all and question is None and " " in model:
            model, question = None, model
        if model is not None:
            return await self.checked(model), question
        if not models.names:
            raise InputError(f"{self.base} serves no model")
        if len(models.names) > 1:
            raise InputError(f"which model? {self.base} serves: {', '.join(models.names)}")
        return models.names[0], question

    async def events(self, request: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """A streamed chat's. Leaving early closes the connection, which stops the engine."""
        body = json.dumps({**request, "stream": True, "stream_options": {"include_usage": True}}).encode()
        url = f"{self.base}/chat/completions"
        async with self._client.stream("POST", url, headers=self._headers, body=body, seconds=_SECONDS) as answer:
            if answer.status != 200:
                whole = b"".join([chunk async for chunk in answer.chunks()])
                raise ArgosyError(_error_text(answer.status, whole))
            decoder = SseDecoder()
            async for chunk in answer.chunks():
                for event in decoder.feed(chunk):
                    if event.data == "[DONE]":
                        return
                    yield self._event(event.data)

    def _event(self, data: str) -> dict[str, Any]:
        try:
            event = json.loads(data)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            raise ArgosyError(f"{self.base}/chat/completions does not answer as the OpenAI API does")
        return event


def _error_text(status: int, body: bytes) -> str:
    """OpenAI's envelope as a sentence."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"the answer was {status}"
