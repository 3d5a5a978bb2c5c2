"""One model of one old FastChat worker as an engine: the OpenAI wire in front, NUL-delimited frames behind.

An ASGI application on loopback that wants its key as every engine does. The gateway knows nothing of FastChat: whatever
passes here leaves as whole OpenAI events, with usage, a finish reason, and errors that tell their cause.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from argosy.errors import ConnectError, RequestError, UnauthorizedError, UnavailableError
from argosy.fastchat.bodies import read
from argosy.fastchat.old_worker import OldWorker
from argosy.fastchat.templates import Template
from argosy.fastchat.wording import (
    Choice,
    EmbeddingRequest,
    GenerationRequest,
    Wording,
    bounded,
    fault_of,
    usage_of,
)
from argosy.protocol.endpoints import CHAT, COMPLETIONS, EMBEDDINGS
from argosy.protocol.openai import error_body, error_event
from argosy.protocol.traits import EngineTraits

PATHS = (CHAT, COMPLETIONS, EMBEDDINGS)
HEALTH = "/health"
TRAITS = EngineTraits(
    engine="fastchat",
    ignores=(
        *("tool_choice", "parallel_tool_calls", "logprobs", "response_format", "functions", "audio"),
        *("web_search_options", "best_of", "echo", "suffix", "dimensions"),
    ),
)


@dataclass(frozen=True)
class _About:
    """What a worker tells of a model, which stays as it is while it runs."""

    template: Template
    context: int | None


@dataclass
class Adapter:
    """`model`: as the worker calls it and as clients do."""

    worker: OldWorker
    model: str
    key: Callable[[], str] = field(repr=False)  # of the present incarnation
    _about: _About | None = None

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(HEALTH, self._guarded(self._health)),
                Route("/v1/models", self._guarded(self._models)),
                Route(CHAT, self._guarded(self._generate), methods=["POST"]),
                Route(COMPLETIONS, self._guarded(self._generate), methods=["POST"]),
                Route(EMBEDDINGS, self._guarded(self._embed), methods=["POST"]),
            ]
        )

    def forget(self) -> None:
        """The worker may be another one now: what it told is asked anew."""
        self._about = None

    def _guarded(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                sent = request.headers.get("authorization", "").encode()
                if not hmac.compare_digest(sent, f"Bearer {self.key()}".encode()):
                    raise UnauthorizedError("wrong key")
                return await endpoint(request)
            except ConnectError as error:  # it has not seen the request: 503 sends it to another replica
                return _refusal(UnavailableError(str(error), code="engine_unreachable"))
            except RequestError as error:
                return _refusal(error)

        return answer

    async def _health(self, _: Request) -> Response:
        await self.worker.status()
        return JSONResponse({"status": "ok"})

    async def _models(self, _: Request) -> Response:
        model = {"id": self.model, "object": "model", "created": int(time.time()), "owned_by": "fastchat"}
        return JSONResponse({"object": "list", "data": [model]})

    async def _embed(self, request: Request) -> Response:
        asked = await read(request, EmbeddingRequest)
        found = await self.worker.embeddings(self.model, asked.texts(), asked.encoding_format)
        if fault := fault_of(found.error_code, found.text, self.worker.url):
            raise fault
        data = [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(found.embedding)]
        usage = {"prompt_tokens": found.token_num, "total_tokens": found.token_num}
        return JSONResponse({"object": "list", "model": self.model, "data": data, "usage": usage})

    async def _generate(self, request: Request) -> Response:
        path = request.url.path
        asked = await read(request, GenerationRequest)
        if self._about is None:
            self._about = _About(await self.worker.template(self.model), await self.worker.context_length(self.model))
        about = self._about
        answer = _Answer(self.worker, Wording(path, f"fastchat-{secrets.token_hex(8)}", int(time.time()), self.model))
        prompts = asked.prompts(path, about.template)
        counts = {prompt: await self.worker.count(self.model, prompt) for prompt in dict.fromkeys(prompts)}
        for index, prompt in enumerate(prompts):
            most = bounded(self.model, asked.most_tokens, about.context, counts[prompt])
            answer.params.append(asked.params(self.model, prompt, most, about.template))
            answer.choices.append(Choice(index, most, prompt_tokens=counts[prompt]))
        if not asked.stream:
            async for _ in answer.pieces():
                pass
            return JSONResponse(answer.wording.plain(answer.choices, await answer.usage(asked.n or 1)))
        wants_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        events = answer.events(choices_each=asked.n or 1, wants_usage=wants_usage)
        first = await anext(events)  # what fails before it is an answer with a status of its own
        return StreamingResponse(_with(first, events), media_type="text/event-stream")


@dataclass
class _Answer:
    """One answer on its way; its choices come side by side."""

    worker: OldWorker
    wording: Wording
    params: list[dict[str, Any]] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)

    async def events(self, *, choices_each: int, wants_usage: bool) -> AsyncIterator[bytes]:
        """Raises RequestError before the first; later it is the last event."""
        begun = False
        try:
            async with contextlib.aclosing(self.pieces()) as pieces:
                async for choice, text, ended in pieces:
                    if not begun:
                        for opening in self.wording.opening(len(self.choices)):
                            yield _event(opening)
                        begun = True
                    if text:
                        yield _event(self.wording.piece(choice.index, text))
                    if ended:
                        yield _event(self.wording.ending(choice))
            if wants_usage:
                yield _event(self.wording.counted(await self.usage(choices_each)))
        except RequestError as error:
            if not begun:
                raise
            yield error_event(error)
        else:
            yield b"data: [DONE]\n\n"

    async def pieces(self) -> AsyncGenerator[tuple[Choice, str, bool], None]:
        """(choice, new text, whether it has ended), of all choices as they come. Raises RequestError."""
        if len(self.choices) == 1:  # the most
            async with contextlib.aclosing(self._of(self.choices[0], self.params[0])) as own:
                async for text, ended in own:
                    yield self.choices[0], text, ended
            return
        said = asyncio.Queue[tuple[Choice, str, bool] | RequestError]()

        async def speak(choice: Choice, params: dict[str, Any]) -> None:
            try:
                async for text, ended in self._of(choice, params):
                    said.put_nowait((choice, text, ended))
            except RequestError as error:
                said.put_nowait(error)

        speaking = [asyncio.create_task(speak(*each)) for each in zip(self.choices, self.params, strict=True)]
        try:
            left = len(speaking)
            while left:
                heard = await said.get()
                if isinstance(heard, RequestError):
                    raise heard
                left -= heard[2]
                yield heard
        finally:
            for task in speaking:
                task.cancel()
            await asyncio.gather(*speaking, return_exceptions=True)

    async def usage(self, choices_each: int) -> dict[str, int]:
        """As the worker counted; what it did not count is asked for. A prompt counts once, whatever its choices."""
        model, completions = self.wording.model, 0
        for choice in self.choices:
            if choice.completion_tokens is None:
                choice.completion_tokens = await self.worker.count(model, choice.text) if choice.text else 0
            completions += choice.completion_tokens
        return usage_of(sum(choice.prompt_tokens or 0 for choice in self.choices[::choices_each]), completions)

    async def _of(self, choice: Choice, params: dict[str, Any]) -> AsyncGenerator[tuple[str, bool], None]:
        async with contextlib.aclosing(self.worker.frames(params)) as frames:
            async for frame in frames:
                if fault := fault_of(frame.error_code, frame.text, self.worker.url):
                    raise fault
                yield choice.take(frame), False
        yield choice.end(), True


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for event in rest:
        yield event


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def _refusal(error: RequestError) -> Response:
    return Response(error_body(error), error.status, media_type="application/json")
