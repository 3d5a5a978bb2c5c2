"""The door behind a certificate: the same answers over TLS, whatever their size, and its clients' leave."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from door import Door

from argosy.errors import ConnectError, InputError
from argosy.wire.client import Client
from argosy.wire.tls import server_context
from engines import FakeEngine, chat_stream, held
from waiting import eventually

PEM = Path(__file__).with_name("localhost.pem")


async def test_requests_and_answers_of_any_size_pass() -> None:
    async with FakeEngine() as engine, Door(tls=PEM, max_body_bytes=1 << 23) as door:
        await door.join(engine)
        large = "x" * (1 << 22)
        assert (await door.chat(messages=[{"role": "user", "content": large}])).status == 200
        assert large in engine.asked[-1].json["messages"][0]["content"]
        engine.plays.append(chat_stream(*["y" * 1000] * 2000))
        assert len(await door.streamed()) == 2001


async def test_a_client_that_leaves_is_seen() -> None:
    async with FakeEngine() as engine, Door(tls=PEM) as door:
        await door.join(engine)
        engine.plays.append(held(asyncio.Event()))
        leaving = asyncio.create_task(door.chat())
        await eventually(lambda: engine.asked)
        leaving.cancel()
        await eventually(lambda: door.calls and door.calls[-1].status == 499)


async def test_who_does_not_trust_the_certificate_sends_nothing() -> None:
    async with Door(tls=PEM) as door:
        for pins in (None, lambda _: "0" * 64):
            stranger = Client(pins=pins)
            with pytest.raises(ConnectError):
                await stranger.request("GET", f"{door.url}/v1/models", seconds=5)
            await stranger.close()
        assert door.visits == []


async def test_plain_http_gets_no_answer_there() -> None:
    async with Door(tls=PEM) as door:
        reader, _ = await door.say(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert await reader.read() == b""


def test_a_certificate_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    for content in (None, "nothing", PEM.read_text().partition("-----BEGIN CERTIFICATE")[0]):
        file = tmp_path / "bad.pem"
        if content is not None:
            file.write_text(content)
        with pytest.raises(InputError, match="without a password"):
            server_context(str(file), str(file))
