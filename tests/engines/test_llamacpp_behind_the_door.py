"""A real llama.cpp behind a real door: what it says plainly and what the door puts together are one, and it stops work
that nobody waits for any more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from behind import REPLICA, Behind, behind_the_door
from contract import NAME
from door import chat_bytes

from argosy.protocol.endpoints import CHAT, COMPLETIONS

pytestmark = pytest.mark.model

CHAT_BODY = {"messages": [{"role": "user", "content": "Count to five."}]}
# What differs from one answer to the next.
VARYING = ("id", "created", "timings", "prompt_tokens_details")


@pytest.fixture
async def behind(smollm2: Path, tmp_path: Path) -> AsyncIterator[Behind]:
    async with behind_the_door(smollm2, tmp_path) as made:
        yield made


def comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: comparable(each) for name, each in value.items() if name not in VARYING}
    return [comparable(each) for each in value] if isinstance(value, list) else value


async def test_a_plain_answer_is_the_engines_own(behind: Behind, subtests: pytest.Subtests) -> None:
    cases = {
        "chat": (CHAT, CHAT_BODY),
        "chat with logprobs": (CHAT, {**CHAT_BODY, "logprobs": True, "top_logprobs": 2}),
        "chat with stop": (CHAT, {**CHAT_BODY, "stop": ["."]}),
        "chat in json": (CHAT, {**CHAT_BODY, "response_format": {"type": "json_object"}}),
        "completion": (COMPLETIONS, {"prompt": "One two"}),
    }
    for case, (path, asked) in cases.items():
        with subtests.test(case):
            body = {"model": NAME, **asked, "temperature": 0, "max_tokens": 12, "cache_prompt": False}
            answered = await behind.door.request("POST", path, body)
            assert comparable(json.loads(answered.body)) == comparable(await behind.direct(path, body))


async def test_choices_are_counted_together(behind: Behind) -> None:
    body = {"model": NAME, "temperature": 0, "max_tokens": 3, "n": 2, "cache_prompt": False}
    chat = json.loads((await behind.door.request("POST", CHAT, {**body, **CHAT_BODY})).body)
    alone = await behind.direct(CHAT, {**body, **CHAT_BODY})
    assert comparable(chat["choices"]) == comparable(alone["choices"])
    assert chat["usage"]["completion_tokens"] == 6
    assert chat["usage"]["prompt_tokens"] == alone["usage"]["prompt_tokens"]
    prompts = {**body, "prompt": ["One two", "Three"]}
    lists = json.loads((await behind.door.request("POST", COMPLETIONS, prompts)).body)
    each = [await behind.direct(COMPLETIONS, {**body, "prompt": prompt, "n": 1}) for prompt in prompts["prompt"]]
    assert [choice["index"] for choice in lists["choices"]] == [0, 1, 2, 3]
    assert lists["usage"]["completion_tokens"] == 12
    assert lists["usage"]["prompt_tokens"] == sum(answer["usage"]["prompt_tokens"] for answer in each)


async def test_a_plain_request_whose_client_leaves_ends_while_other_answers_stream(behind: Behind) -> None:
    endless = {"model": NAME, **CHAT_BODY, "max_tokens": 1900, "ignore_eos": True}
    stream, streaming = await behind.door.say(chat_bytes({**endless, "stream": True}))
    await asyncio.wait_for(stream.readuntil(b"content"), 20)
    _, leaving = await behind.door.say(chat_bytes(endless))
    await behind.until_slots(2)
    leaving.close()
    await behind.until_slots(1)
    assert behind.door.in_flight(REPLICA) == 1, "the stream is still under way"
    streaming.close()
    await behind.until_slots(0)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_a_client_that_leaves_while_its_prompt_is_read_frees_the_slot_before_it_is(
    behind: Behind, streamed: bool
) -> None:
    other, streaming = await behind.door.say(
        chat_bytes({"model": NAME, **CHAT_BODY, "max_tokens": 1900, "ignore_eos": True, "stream": True})
    )
    await asyncio.wait_for(other.readuntil(b"content"), 20)
    words = "seven dogs ran home over the hills and far away " * 150
    body = {"model": NAME, "messages": [{"role": "user", "content": words}], "max_tokens": 4, "stream": streamed}
    _, leaving = await behind.door.say(chat_bytes(body))
    await behind.until_slots(2)
    leaving.close()
    await behind.until_slots(1)
    assert [(call.status, call.events) for call in behind.door.calls] == [(499, 0)]
    (left,) = [slot for slot in await behind.slots() if not slot["is_processing"]]
    assert left["n_prompt_tokens_processed"] < 1000, "of more than 1,500"
    streaming.close()
    await behind.until_slots(0)
