"""A conversation with one model over the OpenAI wire. Owns its messages; prints what comes as it comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from argosy.errors import ArgosyError, InputError
from argosy.wire.client import Client
from argosy.wire.sse import SseDecoder
from argosy.wire.tls import Pins

_SECONDS = 3600.0  # the gateway has its own time limits, and says so


class Door:
    """A gateway, or anything that speaks the OpenAI wire, with a key for it."""

    def __init__(self, base: str, key: str | None, *, proxies: Mapping[str, str] | None, pins: Pins) -> None:
        self.base = base.rstrip("/") if base.rstrip("/").endswith("/v1") else f"{base.rstrip('/')}/v1"
        self.headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
        self.runner = asyncio.Runner()
        self.client = Client(proxies=proxies, pins=pins)

    def __enter__(self) -> Door:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.runner.run(self.client.close())
        self.runner.close()

    def choose(self, model: str | None, question: str | None) -> tuple[str, str | None]:
        """The model to talk to, and what to ask it. One word that is no model may have been the question."""
        names, aliases = self.runner.run(self._models())
        if model is not None and model not in names + aliases and question is None and " " in model:
            model, question = None, model
        if model is not None:
            if model not in names + aliases:
                raise InputError(f"there is no model {model!r} at {self.base}; there are: {', '.join(names + aliases)}")
            return model, question
        if not names:
            raise InputError(f"{self.base} serves no model")
        if len(names) > 1:
            raise InputError(f"which model? {self.base} serves: {', '.join(names)}")
        return names[0], question

    async def _models(self) -> tuple[list[str], list[str]]:
        answer = await self.client.request("GET", f"{self.base}/models", headers=self.headers, seconds=10.0)
        if answer.status != 200:
            raise ArgosyError(f"{self.base}: {error_text(answer.status, answer.body)}")
        try:
            models = json.loads(answer.body)["data"]
            # An alias tells the deployment that it stands for.
            names = [model["id"] for model in models if model.get("root", model["id"]) == model["id"]]
            return names, [model["id"] for model in models if model["id"] not in names]
        except (ValueError, KeyError, TypeError) as error:
            raise ArgosyError(f"{self.base}/models does not answer as the OpenAI API does") from error


class Conversation:
    def __init__(self, door: Door, model: str) -> None:
        self._door = door
        self.model = model
        self._messages: list[dict[str, str]] = []

    def ask(self, question: str) -> None:
        """Prints the answer. Ctrl-C raises KeyboardInterrupt; what was said until then is kept."""
        self._messages.append({"role": "user", "content": question})
        said: list[str] = []
        try:
            self._door.runner.run(self._stream(said))
        except ArgosyError:
            self._messages.pop()
            raise
        finally:
            if said:
                print(flush=True)
                self._messages.append({"role": "assistant", "content": "".join(said)})

    async def _stream(self, said: list[str]) -> None:
        body = {"model": self.model, "messages": self._messages, "stream": True}
        url = f"{self._door.base}/chat/completions"
        async with self._door.client.stream(
            "POST", url, headers=self._door.headers, body=json.dumps(body).encode(), seconds=_SECONDS
        ) as answer:
            if answer.status != 200:
                whole = b"".join([chunk async for chunk in answer.chunks()])
                raise ArgosyError(error_text(answer.status, whole))
            decoder = SseDecoder()
            async for chunk in answer.chunks():
                for event in decoder.feed(chunk):
                    if event.data == "[DONE]":
                        return
                    if text := _text(event.data):
                        print(text, end="", flush=True)
                        said.append(text)


def converse(conversation: Conversation) -> None:
    """Reads lines until /exit or the end of input."""
    print(f"{conversation.model}: Ctrl-C stops an answer, /exit ends.")
    while True:
        try:
            question = input("> ").strip()
        except EOFError:
            print()
            return
        if question == "/exit":
            return
        if not question:
            continue
        try:
            conversation.ask(question)
        except KeyboardInterrupt:
            print("(stopped)", flush=True)
        except ArgosyError as error:
            print(f"error: {error}", flush=True)


def error_text(status: int, body: bytes) -> str:
    """OpenAI's envelope as a sentence."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"the answer was {status}"


def _text(data: str) -> str:
    event: dict[str, Any] = json.loads(data)
    if "error" in event:
        raise ArgosyError(str(event["error"].get("message", event["error"])))
    choices = event.get("choices") or [{}]
    return str((choices[0].get("delta") or {}).get("content") or "")
