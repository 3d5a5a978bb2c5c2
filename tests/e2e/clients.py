"""People who talk to the door while something dies: each streams one answer after another and notes how each ended."""

from __future__ import annotations

import asyncio
import enum
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from argosy.errors import BrokenAnswerError, ConnectError
from argosy.wire.client import Client
from argosy.wire.sse import SseDecoder

WORDS = [f"word{number}" for number in range(16)]


class Ending(enum.Enum):
    WHOLE = "every word, then [DONE]"
    TOLD = "broken, and an error event said so before [DONE]"
    REFUSED = "an HTTP error with OpenAI's envelope"
    CUT = "the door itself went away"
    SILENT = "ended without a word: must never be"


class Crowd:
    """`url`: the door's, up to /v1."""

    def __init__(self, url: str, model: str) -> None:
        self._url = url
        self._model = model
        self.endings: Counter[Ending] = Counter()
        self.texts: list[str] = []
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def talking(self, people: int) -> AsyncIterator[None]:
        """Inside, `people` stream one answer after another; at the end they finish the one they have."""
        stop = asyncio.Event()
        everybody = [asyncio.create_task(self._talk(stop)) for _ in range(people)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*everybody)

    async def hear(self, ending: Ending, times: int, seconds: float = 20.0) -> None:
        """Until so many more answers have ended so."""
        wanted = self.endings[ending] + times
        async with asyncio.timeout(seconds):
            while self.endings[ending] < wanted:
                self._changed.clear()
                await self._changed.wait()

    async def _talk(self, stop: asyncio.Event) -> None:
        client = Client()
        while not stop.is_set():
            self.endings[await self._ask(client)] += 1
            self._changed.set()
        await client.close()

    async def _ask(self, client: Client) -> Ending:
        question = {"model": self._model, "stream": True, "messages": [{"role": "user", "content": " ".join(WORDS)}]}
        decoder, text, told = SseDecoder(), "", False
        try:
            async with client.stream(
                "POST",
                f"{self._url}/chat/completions",
                headers={"content-type": "application/json"},
                body=json.dumps(question).encode(),
                seconds=30,
            ) as answer:
                if answer.status != 200:
                    body = b"".join([part async for part in answer.chunks()])
                    assert json.loads(body)["error"]["message"], body
                    return Ending.REFUSED
                async for chunk in answer.chunks():
                    for event in decoder.feed(chunk):
                        if event.data == "[DONE]":
                            self.texts.append(text)
                            if told:
                                return Ending.TOLD
                            return Ending.WHOLE if text == " ".join(WORDS) else Ending.SILENT
                        data = json.loads(event.data)
                        told = told or "error" in data
                        text += "".join(choice["delta"].get("content", "") for choice in data.get("choices", ()))
                return Ending.SILENT
        except (BrokenAnswerError, ConnectError):
            await asyncio.sleep(0.05)  # a client that is refused comes again, but does not hammer
            return Ending.CUT
