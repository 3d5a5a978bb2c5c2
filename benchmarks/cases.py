"""What is asked of a gateway: each case is one request, how many clients repeat it, and what a right answer is."""

from __future__ import annotations

import base64
import json
import random
import time
from dataclasses import dataclass
from typing import Any

from mock_engine import EVENTS, HELD, MODEL, PACED, STEP_SECONDS

from argosy.errors import ArgosyError
from argosy.wire.client import Answer, Client
from argosy.wire.sse import SseDecoder

PATH = "/v1/chat/completions"
KEY = "argosy-benchmark-key"
IMAGE_BYTES = 1_500_000
PACED_SECONDS = (EVENTS - 1) * STEP_SECONDS
_HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


class WrongAnswerError(ArgosyError):
    """A gateway did not do the work that is measured."""


@dataclass(frozen=True)
class Case:
    name: str
    meaning: str
    connections: int
    fields: dict[str, Any]
    least_seconds: float = 0.0  # that a right answer takes

    @property
    def stream(self) -> bool:
        return bool(self.fields.get("stream"))

    @property
    def body(self) -> bytes:
        return json.dumps({"model": MODEL, "temperature": 0.7, "max_tokens": EVENTS, **self.fields}).encode()

    def request(self, port: int) -> bytes:
        """The whole request, as clients send it."""
        head = [f"POST {PATH} HTTP/1.1", f"host: 127.0.0.1:{port}", "accept: */*", "user-agent: argosy-benchmark"]
        head += [f"{name}: {value}" for name, value in _HEADERS.items()]
        head += [f"content-length: {len(self.body)}", "", ""]
        return "\r\n".join(head).encode() + self.body

    async def check(self, client: Client, port: int) -> None:
        """Raises WrongAnswerError unless this gateway answers in full, every event in its place."""
        url = f"http://127.0.0.1:{port}{PATH}"
        began = time.monotonic()
        answer = await client.request("POST", url, headers=_HEADERS, body=self.body, seconds=30.0)
        seconds = time.monotonic() - began
        got = self._content(answer)
        expected = EVENTS + 1 if self.stream else 1
        if got != expected:
            raise WrongAnswerError(
                f"{self.name}: {got} parts of an answer instead of {expected} (status {answer.status}):"
                f" {answer.body[:300].decode('utf-8', 'replace')}"
            )
        if seconds < self.least_seconds:
            raise WrongAnswerError(f"{self.name}: answered in {seconds:.3f} s, which only another request can be")

    def _content(self, answer: Answer) -> int:
        if answer.status != 200:
            return 0
        return len(SseDecoder().feed(answer.body)) if self.stream else answer.body.count(b'"finish_reason"')


def _chat(content: object) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": "You are terse."}, {"role": "user", "content": content}]}


def held_case() -> Case:
    """A stream that says one event and then nothing: open for as long as its client likes."""
    return Case(
        "held", "a stream of one event that does not end", 1, {**_chat(f"Tell me nothing. {HELD}"), "stream": True}
    )


def all_cases() -> dict[str, Case]:
    tea = _chat("Tell me about the history of tea in three sentences.")
    slow = _chat(f"Tell me about the history of tea in three sentences. {PACED}")
    image = base64.b64encode(random.Random(1).randbytes(IMAGE_BYTES)).decode()
    picture = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{image}"}},
    ]
    cases = [
        Case("unary", "a short chat, answered at once", 32, tea),
        Case("burst", f"a stream of {EVENTS} events that come in one piece", 32, {**tea, "stream": True}),
        Case("paced", f"a stream of {EVENTS} events, one every 5 ms", 32, {**slow, "stream": True}, PACED_SECONDS),
        Case("50k", "a prompt of 50 kB", 16, _chat("The quick brown fox jumps over the lazy dog. " * 1150)),
        Case("2mb", "a prompt with a picture of 2 MB", 4, _chat(picture)),
    ]
    return {case.name: case for case in cases}
