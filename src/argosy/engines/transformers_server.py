"""The process that is a transformers engine: one model behind a small HTTP server that speaks the OpenAI wire.

    python -I …/argosy/engines/standalone.py argosy.engines.transformers_server CONFIG

CONFIG is the JSON that transformers.py writes; the key comes by environment. Runs in environments without Argosy: the
standard library, torch and transformers, Python 3.9. Requests are answered one after the other.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import queue
import select
import signal
import socket
import struct
import sys
import threading
import time
import uuid
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional

from argosy.engines.standalone import KEY_VARIABLE, write_address
from argosy.engines.transformers_model import FailedError, Loaded, RefusedError, Sampling
from argosy.engines.transformers_text import TextStream

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
_LOOK_SECONDS = 0.2  # between two looks whether the client is still there
_MOST_BODY = 64 << 20


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, config: Mapping[str, Any], key: str, loaded: Loaded) -> None:
        super().__init__(("127.0.0.1", config["port"]), Handler)
        self.name: str = config["name"]
        self.embed: bool = config["embed"]
        self.key = key
        self.loaded = loaded
        self.started = int(time.time())

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that has left is no fault
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    _streams = False  # its answer has begun

    def do_GET(self) -> None:
        if self.path == "/health":
            self._send(200, {"status": "ok"})
        elif not self._has_key():
            self._refuse(401, "Incorrect API key provided.", kind="authentication_error")
        elif self.path == "/v1/models":
            model = {"id": self.server.name, "object": "model", "created": self.server.started, "owned_by": "argosy"}
            self._send(200, {"object": "list", "data": [model]})
        else:
            self._refuse(404, f"There is nothing at GET {self.path}.")

    def do_POST(self) -> None:
        self._streams = False
        length = int(self.headers.get("content-length") or 0)
        if not 0 < length <= _MOST_BODY:
            self.close_connection = True
            return self._refuse(413 if length else 411, "A body of a known length is wanted, of at most 64 MiB.")
        data = self.rfile.read(length)
        if not self._has_key():
            return self._refuse(401, "Incorrect API key provided.", kind="authentication_error")
        serve = self._ways().get(self.path)
        if serve is None:
            return self._refuse(
                404, f"There is nothing at POST {self.path}: this model serves {', '.join(self._ways())}."
            )
        try:
            body = json.loads(data)
            if not isinstance(body, dict):
                raise RefusedError("The request's body is no JSON object.")
            serve(body)
        except ValueError as error:
            return self._refuse(400, f"The request's body is not valid JSON: {error}")
        except RefusedError as fault:
            return self._refuse(400, str(fault), param=fault.param, code=fault.code)
        except FailedError as error:
            self.close_connection = True
            if not self._streams:
                return self._refuse(500, str(error), kind="server_error")
        except ConnectionError:  # the client has left
            self.close_connection = True
        return None

    def log_message(self, format: str, *args: Any) -> None:
        """A line for each request is the gateway's to write."""

    def _ways(self) -> Dict[str, Any]:
        if self.server.embed:
            return {EMBEDDINGS: self._embeddings}
        return {CHAT: self._chat, COMPLETIONS: self._completions}

    def _chat(self, body: Mapping[str, Any]) -> None:
        if body.get("tools"):
            raise RefusedError("'tools' is nothing that the engine transformers heeds: leave it out.", param="tools")
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise RefusedError("Missing required parameter: 'messages'.", param="messages")
        prompt = self.server.loaded.chat_tokens(messages)
        most = body.get("max_completion_tokens") or body.get("max_tokens")
        self._answer(body, [prompt], most, chat=True)

    def _completions(self, body: Mapping[str, Any]) -> None:
        given = body.get("prompt")
        several = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
        self._answer(body, [self._tokens(each, "prompt") for each in several], body.get("max_tokens") or 16, chat=False)

    def _embeddings(self, body: Mapping[str, Any]) -> None:
        given = body.get("input")
        several = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
        inputs = [self._tokens(each, "input") for each in several]
        for tokens in inputs:
            self._check_length(len(tokens), "input")
        packed = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if packed else vector}
            for index, vector in enumerate(self.server.loaded.vectors(inputs))
        ]
        count = sum(map(len, inputs))
        usage = {"prompt_tokens": count, "total_tokens": count}
        self._send(200, {"object": "list", "model": self.server.name, "data": data, "usage": usage})

    def _tokens(self, given: Any, param: str) -> List[int]:
        if isinstance(given, str) and given:
            return self.server.loaded.tokens(given)
        if isinstance(given, list) and given and all(isinstance(each, int) for each in given):
            return given
        raise RefusedError(f"'{param}' must be a text that is not empty, tokens, or a list of such.", param=param)

    def _check_length(self, tokens: int, param: str) -> None:
        if tokens > self.server.loaded.context:
            raise RefusedError(
                f"This model's maximum context length is {self.server.loaded.context} tokens, '{param}' has {tokens}.",
                param=param,
                code="context_length_exceeded",
            )

    def _answer(self, body: Mapping[str, Any], prompts: List[List[int]], most: Optional[int], *, chat: bool) -> None:
        context = self.server.loaded.context
        for prompt in prompts:
            self._check_length(len(prompt) + 1, "messages" if chat else "prompt")
        stops = body.get("stop") or []
        stops = [stops] if isinstance(stops, str) else stops
        choices = [prompt for prompt in prompts for _ in range(body.get("n") or 1)]
        reply = _Reply(self.server.name, chat=chat)
        counts = {"prompt_tokens": sum(map(len, prompts)), "completion_tokens": 0, "total_tokens": 0}

        def say(index: int, prompt: List[int]) -> Iterator[Any]:
            room = context - len(prompt)
            yield from self._spoken(prompt, Sampling(body, index), stops, room if most is None else min(most, room))

        if not body.get("stream"):
            whole = []
            for index, prompt in enumerate(choices):
                text, reason = "", "stop"
                for said in say(index, prompt):
                    if isinstance(said, str):
                        text += said
                    else:
                        reason, counts["completion_tokens"] = said[0], counts["completion_tokens"] + said[1]
                whole.append(reply.choice(index, text, reason))
            counts["total_tokens"] = counts["prompt_tokens"] + counts["completion_tokens"]
            return self._send(200, {**reply.head(), "choices": whole, "usage": counts})
        self._begin_stream()
        for index, prompt in enumerate(choices):
            if chat:
                self._event(reply.first(index))
            for said in say(index, prompt):
                if isinstance(said, str):
                    self._event(reply.piece(index, said))
                else:
                    counts["completion_tokens"] += said[1]
                    self._event(reply.last(index, said[0]))
        counts["total_tokens"] = counts["prompt_tokens"] + counts["completion_tokens"]
        if (body.get("stream_options") or {}).get("include_usage"):
            self._event({**reply.head(streamed=True), "choices": [], "usage": counts})
        self._chunk(b"data: [DONE]\n\n")
        return self._chunk(b"")

    def _spoken(self, prompt: List[int], sampling: Sampling, stops: List[str], most: int) -> Iterator[Any]:
        """Pieces of text, then its finish reason and its tokens. Raises ConnectionError when the client leaves."""
        loaded, cancelled = self.server.loaded, threading.Event()
        stream, count = TextStream(loaded.text, stops), 0
        told = loaded.answer(prompt, sampling, most, cancelled)
        looked = time.monotonic()
        try:
            while True:
                if time.monotonic() - looked >= _LOOK_SECONDS:
                    looked = time.monotonic()
                    self._check_client()
                try:
                    token = told.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    continue
                if isinstance(token, FailedError):
                    raise token
                if token is None:
                    break
                count += 1
                if text := stream.add(token):
                    yield text
                if stream.stopped:
                    yield ("stop", count)
                    return
            if text := stream.end():
                yield text
            yield ("length" if count >= most and not stream.stopped else "stop", count)
        finally:
            cancelled.set()

    def _check_client(self) -> None:
        """A plain request's client that has left is seen by nothing but its end of the connection."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionResetError("the client has left")

    def _has_key(self) -> bool:
        given = self.headers.get("authorization") or ""
        return hmac.compare_digest(given.encode(), f"Bearer {self.server.key}".encode())

    def _refuse(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: Optional[str] = None,
        code: Optional[str] = None,
    ) -> None:
        self._send(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})

    def _send(self, status: int, value: Any) -> None:
        data = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _begin_stream(self) -> None:
        self._streams = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def _event(self, value: Any) -> None:
        self._chunk(b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


class _Reply:
    """The shapes of one answer."""

    def __init__(self, model: str, *, chat: bool) -> None:
        self._chat = chat
        self._id = f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}"
        self._created, self._model = int(time.time()), model

    def head(self, *, streamed: bool = False) -> Dict[str, Any]:
        kind = ("chat.completion.chunk" if streamed else "chat.completion") if self._chat else "text_completion"
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model}

    def choice(self, index: int, text: str, reason: str) -> Dict[str, Any]:
        said = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        return {"index": index, **said, "logprobs": None, "finish_reason": reason}

    def first(self, index: int) -> Dict[str, Any]:
        return self._part(index, {"delta": {"role": "assistant", "content": ""}}, None)

    def piece(self, index: int, text: str) -> Dict[str, Any]:
        return self._part(index, {"delta": {"content": text}} if self._chat else {"text": text}, None)

    def last(self, index: int, reason: str) -> Dict[str, Any]:
        return self._part(index, {"delta": {}} if self._chat else {"text": ""}, reason)

    def _part(self, index: int, said: Dict[str, Any], reason: Optional[str]) -> Dict[str, Any]:
        choice = {"index": index, **said, "logprobs": None, "finish_reason": reason}
        return {**self.head(streamed=True), "choices": [choice]}


def _packed(vector: List[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def main(argv: List[str], environment: Mapping[str, str]) -> int:
    warnings.simplefilter("ignore")  # those of transformers are for who writes programs with it
    config = json.loads(argv[1])
    if config["chat_template_file"]:
        config["chat_template"] = Path(config["chat_template_file"]).read_text(encoding="utf-8")
    server = Server(config, environment[KEY_VARIABLE], Loaded(config))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    write_address(Path(config["address_file"]), f"http://127.0.0.1:{server.server_address[1]}")
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv, os.environ))
