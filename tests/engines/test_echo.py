import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from contract import NAME, EngineContract, Running, blueprint_of, start

from argosy.errors import BrokenAnswerError, EngineError, UpstreamError
from argosy.protocol.endpoints import CHAT
from argosy.wire.client import Client


class TestEcho(EngineContract):
    @pytest.fixture
    def deployment(self) -> dict[str, Any]:
        return {"engine": "echo", "options": {"load_seconds": 0.05, "split_bytes": 7}}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    await made.close()


async def echo(folder: Path, client: Client, **options: Any) -> Running:
    return await start(blueprint_of({"engine": "echo", "options": options}, folder, client))


async def stats(running: Running) -> dict[str, int]:
    found: dict[str, int] = json.loads((await running.get("/stats")).body)
    return found


def asking(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


async def test_a_stream_comes_at_the_pace_asked_for(tmp_path: Path, client: Client) -> None:
    running = await echo(tmp_path, client, tokens_per_second=50, first_token_seconds=0.1)
    try:
        began = time.monotonic()
        events = await running.stream(CHAT, **asking("one two three four five six"))
        assert 0.2 <= time.monotonic() - began < 0.6
        said = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
        assert said == "one two three four five six"
    finally:
        await running.incarnation.stop(0)


async def test_answers_on_a_kept_connection_do_not_wait_for_acknowledgements(tmp_path: Path, client: Client) -> None:
    running = await echo(tmp_path, client)
    try:
        url, body = f"{running.incarnation.address}{CHAT}", json.dumps(asking("hello")).encode()
        took = []
        for _ in range(30):  # a kernel acknowledges at once for the first dozen, then after 40 ms
            began = time.monotonic()
            assert (await client.request("POST", url, headers=running.headers, body=body, seconds=5)).status == 200
            took.append(time.monotonic() - began)
        assert statistics.median(took) < 0.03
    finally:
        await running.incarnation.stop(0)


async def test_a_client_that_leaves_frees_its_slot_within_100_ms(tmp_path: Path, client: Client) -> None:
    running = await echo(tmp_path, client, tokens_per_second=2, slots=1)
    try:
        url, body = f"{running.incarnation.address}{CHAT}", json.dumps({**asking("a b c d e f"), "stream": True})
        async with client.stream("POST", url, headers=running.headers, body=body.encode(), seconds=5) as answer:
            await anext(aiter(answer.chunks()))
            assert (await stats(running))["running"] == 1
        left = time.monotonic()
        while (await stats(running))["cancelled"] == 0:
            assert time.monotonic() - left < 0.1
        assert await stats(running) == {"running": 0, "waiting": 0, "served": 0, "cancelled": 1}
    finally:
        await running.incarnation.stop(0)


async def test_more_than_its_slots_wait_their_turn(tmp_path: Path, client: Client) -> None:
    running = await echo(tmp_path, client, tokens_per_second=20, slots=1)
    try:
        began = time.monotonic()
        await asyncio.gather(*(running.post(CHAT, **asking("a b c d e")) for _ in range(2)))
        assert time.monotonic() - began >= 0.4
        assert (await stats(running))["served"] == 2
    finally:
        await running.incarnation.stop(0)


@pytest.mark.parametrize(("prompt", "tokens_before"), [("!crash", 0), ("!crash after 2 x y", 2), ("!break after 1", 1)])
async def test_a_fault_on_demand_breaks_the_stream_where_it_was_asked_to(
    tmp_path: Path, client: Client, prompt: str, tokens_before: int
) -> None:
    running = await echo(tmp_path, client, faults=True, tokens_per_second=100)
    try:
        url, body = f"{running.incarnation.address}{CHAT}", json.dumps({**asking(prompt), "stream": True})
        received = b""
        with pytest.raises(UpstreamError) as caught:
            async with client.stream("POST", url, headers=running.headers, body=body.encode(), seconds=5) as answer:
                async for chunk in answer.chunks():
                    received += chunk
        assert isinstance(caught.value, BrokenAnswerError)
        assert received.count(b'"content"') - 1 in (tokens_before, -1)  # the first event has an empty content
    finally:
        await running.incarnation.stop(0)


async def test_a_plain_answer_can_be_asked_to_fail_with_a_status(tmp_path: Path, client: Client) -> None:
    running = await echo(tmp_path, client, faults=True)
    try:
        url, body = f"{running.incarnation.address}{CHAT}", json.dumps(asking("!status 503"))
        answer = await client.request("POST", url, headers=running.headers, body=body.encode(), seconds=5)
        assert answer.status == 503
    finally:
        await running.incarnation.stop(0)


async def test_one_that_fails_to_load_is_told_by_its_last_line(tmp_path: Path, client: Client) -> None:
    with pytest.raises(EngineError) as caught:
        await echo(tmp_path, client, fail_to_load="no luck today", load_seconds=0.05)
    assert str(caught.value) == (
        f"{NAME}.0 exited with code 1 before it was ready. Last lines: no luck today (argosy logs {NAME}.0)"
    )
    assert not caught.value.permanent
