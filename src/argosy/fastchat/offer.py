"""The protocol of FastChat's workers in front of an engine of ours, for its old API server, web UI and tools.

They template a chat by what `/worker_get_conv_template` says, or by their own guess from the model's name. What we say
there is a template whose prompt can be read back as messages: the engine then applies the model's own. A prompt without
our marks has been templated by somebody else, and is completed as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from argosy.errors import RequestError, UnavailableError, UpstreamError
from argosy.fastchat.bodies import read
from argosy.fastchat.frames import as_frame
from argosy.protocol.endpoints import CHAT, COMPLETIONS, EMBEDDINGS, TOKENIZE
from argosy.wire.client import Client
from argosy.wire.sse import SseDecoder
from argosy.worker.listener import Target

_HEAD_SECONDS = 3600.0
_ASK_SECONDS = 30.0
_INTERNAL_ERROR = 50001  # FastChat's code
_NO_COLON_SINGLE = 4
_UNKNOWN_CONTEXT = 8192  # where an engine does not tell: FastChat's API server counts with a number


class WorkerParams(msgspec.Struct, frozen=True, kw_only=True):
    """What FastChat's processes send to `/worker_generate_stream`; its defaults are its worker's."""

    model: str = ""
    prompt: str
    temperature: float | None = 1.0
    repetition_penalty: float | None = 1.0
    top_p: float | None = 1.0
    top_k: int | None = -1
    presence_penalty: float | None = 0.0
    frequency_penalty: float | None = 0.0
    max_new_tokens: int | None = 256
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    echo: bool | None = True


class _Embedded(msgspec.Struct, frozen=True):
    input: str | list[str]
    encoding_format: str | None = None


class _Counted(msgspec.Struct, frozen=True):
    prompt: str


class Marks:
    """Stand between the messages of a prompt. Who does not know the secret can forge none in a text; the same after
    every start, as FastChat's API server keeps a template for ever."""

    def __init__(self, secret: str) -> None:
        self._mark = f"<|argosy {hashlib.sha256(secret.encode()).hexdigest()[:16]}|"

    def template(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "system_template": f"{self._mark}system>{{system_message}}",
            "system_message": "",
            "roles": [f"{self._mark}user>", f"{self._mark}assistant>"],
            "messages": [],
            "offset": 0,
            "sep_style": _NO_COLON_SINGLE,
            "sep": "",
            "sep2": None,
            "stop_str": None,
            "stop_token_ids": None,
        }

    def messages(self, prompt: str) -> list[dict[str, str]] | None:
        """None: this prompt was not made by our template."""
        before, *marked = prompt.split(self._mark)
        if before or not marked:
            return None
        parts = (each.partition(">") for each in marked)
        return [{"role": role, "content": text} for role, _, text in parts if text]


class Offer:
    """`target`: the engine, while it can serve."""

    def __init__(self, *, client: Client, names: list[str], secret: str, target: Callable[[], Target | None]) -> None:
        self._client = client
        self._names = names
        self._marks = Marks(secret)
        self._target = target
        self._running = 0

    @property
    def queue_length(self) -> int:
        return self._running

    def status(self) -> dict[str, Any]:
        return {"model_names": self._names, "speed": 1, "queue_length": self._running}

    def routes(self) -> list[Route]:
        endpoints = {
            "/worker_generate_stream": self._generate_stream,
            "/worker_generate": self._generate,
            "/worker_get_embeddings": self._embed,
            "/worker_get_status": self._tell_status,
            "/worker_get_conv_template": self._template,
            "/count_token": self._count,
            "/model_details": self._details,
        }
        return [Route(path, _in_frames(endpoint), methods=["POST"]) for path, endpoint in endpoints.items()]

    def app(self) -> Starlette:
        return Starlette(routes=self.routes())

    async def _generate_stream(self, request: Request) -> Response:
        params = await read(request, WorkerParams)
        return StreamingResponse(self._encoded(params))

    async def _generate(self, request: Request) -> Response:
        params, last = await read(request, WorkerParams), dict[str, Any]()
        async with contextlib.aclosing(self._frames(params)) as frames:
            async for frame in frames:
                last = frame
        return JSONResponse(last)

    async def _encoded(self, params: WorkerParams) -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(self._frames(params)) as frames:
            async for frame in frames:
                yield as_frame(frame)

    async def _frames(self, params: WorkerParams) -> AsyncGenerator[dict[str, Any], None]:
        """Cumulative, as FastChat's readers want them; the last tells why it ended, or what went wrong."""
        self._running += 1
        try:
            async with contextlib.aclosing(self._said(params)) as said:
                async for frame in said:
                    yield frame
        except RequestError as error:
            yield _failure(error)
        finally:
            self._running -= 1

    async def _said(self, params: WorkerParams) -> AsyncGenerator[dict[str, Any], None]:
        messages = self._marks.messages(params.prompt)
        path = COMPLETIONS if messages is None else CHAT
        asked = {"prompt": params.prompt} if messages is None else {"messages": messages}
        text = params.prompt if params.echo else ""
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        reason, decoder, target = None, SseDecoder(), self._engine()
        body = {**asked, **_sampling(params), "model": self._names[0], "stream": True}
        body["stream_options"] = {"include_usage": True}
        async with self._client.stream(
            "POST", f"{target.address}{path}", headers=_headers(target), body=msgspec.json.encode(body), seconds=3600
        ) as answer:
            if answer.status != 200:
                raise UpstreamError(_told(b"".join([part async for part in answer.chunks()]), answer.status))
            async for data in answer.chunks():
                for event in decoder.feed(data):
                    if event.data == "[DONE]":
                        continue
                    said = msgspec.json.decode(event.data, type=dict[str, Any])
                    if "error" in said:
                        raise UpstreamError(_told(event.data.encode(), 200))
                    usage = {name: (said.get("usage") or usage).get(name, 0) for name in usage}
                    for choice in said.get("choices") or ():
                        new = (choice.get("delta") or {}).get("content") or choice.get("text") or ""
                        reason = choice.get("finish_reason") or reason
                        if new:
                            text += new
                            usage["completion_tokens"] += 1
                            yield _frame(text, usage, None)
        yield _frame(text, usage, reason or "stop")

    async def _embed(self, request: Request) -> Response:
        asked = await read(request, _Embedded)
        body = {"model": self._names[0], "input": asked.input}
        if asked.encoding_format:
            body["encoding_format"] = asked.encoding_format
        answer = await self._ask(EMBEDDINGS, body)
        rows = sorted(answer["data"], key=lambda row: row["index"])
        read_tokens = (answer.get("usage") or {}).get("prompt_tokens", 0)
        return JSONResponse({"embedding": [row["embedding"] for row in rows], "token_num": read_tokens})

    async def _tell_status(self, _: Request) -> Response:
        self._engine()  # while there is none, a controller that asks takes us off its list
        return JSONResponse(self.status())

    async def _template(self, _: Request) -> Response:
        return JSONResponse({"conv": self._marks.template(self._names[0])})

    async def _count(self, request: Request) -> Response:
        prompt = (await read(request, _Counted)).prompt
        messages = self._marks.messages(prompt)
        text = prompt if messages is None else "\n".join(f"{each['role']}\n{each['content']}" for each in messages)
        if TOKENIZE in self._engine().paths:
            answer = await self._ask(TOKENIZE, {"model": self._names[0], "content": text, "prompt": text})
            count = len(answer.get("tokens") or ())
        else:  # what an engine counts of a prompt it tells with an answer of one token
            answer = await self._ask(COMPLETIONS, {"model": self._names[0], "prompt": text, "max_tokens": 1})
            count = (answer.get("usage") or {}).get("prompt_tokens", 0)
        return JSONResponse({"count": count + 4 * len(messages or ()), "error_code": 0})

    async def _details(self, _: Request) -> Response:
        target = self._engine()
        answer = await self._client.request(
            "GET", f"{target.address}/v1/models", headers=_headers(target), seconds=_ASK_SECONDS
        )
        return JSONResponse({"context_length": _context(answer.body)})

    async def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        target = self._engine()
        answer = await self._client.request(
            "POST",
            f"{target.address}{path}",
            headers=_headers(target),
            body=msgspec.json.encode(body),
            seconds=_HEAD_SECONDS,
        )
        if answer.status != 200:
            raise UpstreamError(_told(answer.body, answer.status))
        return msgspec.json.decode(answer.body, type=dict[str, Any])

    def _engine(self) -> Target:
        """Raises UnavailableError."""
        target = self._target()
        if target is None:
            raise UnavailableError(f"no engine serves {self._names[0]} now")
        return target


def _sampling(params: WorkerParams) -> dict[str, Any]:
    given: dict[str, Any] = {
        "temperature": params.temperature,
        "top_p": params.top_p,
        "presence_penalty": params.presence_penalty or None,
        "frequency_penalty": params.frequency_penalty or None,
        "max_tokens": params.max_new_tokens,
        "stop": params.stop or None,
        "top_k": params.top_k if (params.top_k or 0) > 0 else None,
    }
    if params.repetition_penalty not in (None, 1.0):  # vLLM's name and llama.cpp's
        given["repetition_penalty"] = given["repeat_penalty"] = params.repetition_penalty
    return {name: value for name, value in given.items() if value is not None}


def _frame(text: str, usage: Mapping[str, int], reason: str | None) -> dict[str, Any]:
    prompts, completions = usage["prompt_tokens"], usage["completion_tokens"]
    counted = {"prompt_tokens": prompts, "completion_tokens": completions, "total_tokens": prompts + completions}
    return {"text": text, "error_code": 0, "usage": counted, "finish_reason": reason, "logprobs": None}


def _failure(error: RequestError) -> dict[str, Any]:
    return {"text": str(error), "error_code": _INTERNAL_ERROR}


def _told(body: bytes, status: int) -> str:
    """An engine's own words."""
    with contextlib.suppress(msgspec.DecodeError, KeyError, TypeError):
        return str(msgspec.json.decode(body)["error"]["message"])
    return f"the engine answered with status {status}"


def _context(body: bytes) -> int:
    """Tokens of a request, prompt and answer together: vLLM's max_model_len, llama.cpp's meta.n_ctx."""
    with contextlib.suppress(msgspec.DecodeError, KeyError, IndexError, TypeError):
        model = msgspec.json.decode(body)["data"][0]
        meta = model.get("meta") or {}
        found = model.get("max_model_len") or meta.get("n_ctx") or meta.get("n_ctx_train")
        if isinstance(found, int):
            return found
    return _UNKNOWN_CONTEXT


def _headers(target: Target) -> dict[str, str]:
    return {"authorization": f"Bearer {target.key}", "content-type": "application/json"}


def _in_frames(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Errors as FastChat's processes read them."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RequestError as error:
            return JSONResponse(_failure(error), error.status)

    return answer
