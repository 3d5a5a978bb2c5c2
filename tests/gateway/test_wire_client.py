"""The client of control traffic: heartbeats, probes, the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from argosy.errors import BrokenAnswerError, ConnectError, InputError, UpstreamTimeoutError
from argosy.wire.client import Client
from engines import LAST_CHUNK, STREAM_HEAD, FakeEngine, Stage, answer, chunk, held, raw, reset_after, silent_after


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    await made.close()


async def test_a_request_goes_as_told_and_its_answer_comes_whole(client: Client, engine: FakeEngine) -> None:
    engine.plays.append(answer(b'{"a":1}', 201, x_thing="Value"))
    url = f"{engine.address}/a/b?c=d%20e"
    told = await client.request("POST", url, headers={"authorization": "Bearer k"}, body=b"{}", seconds=2)
    assert (told.status, told.headers["x-thing"], told.body) == (201, "Value", b'{"a":1}')
    asked = engine.asked[0]
    assert (asked.method, asked.target, asked.body) == ("POST", "/a/b?c=d%20e", b"{}")
    assert asked.headers == {
        "host": engine.address.removeprefix("http://"),
        "authorization": "Bearer k",
        "content-length": "2",
    }


async def test_a_get_has_no_body_and_a_url_without_a_path_has_one(client: Client, engine: FakeEngine) -> None:
    await client.request("GET", engine.address, seconds=2)
    assert engine.asked[0].target == "/"
    assert "content-length" not in engine.asked[0].headers
    await client.request("POST", engine.address, seconds=2)
    assert engine.asked[1].headers["content-length"] == "0"
    assert engine.connections == 1


async def test_an_answer_can_be_read_in_parts(client: Client, engine: FakeEngine) -> None:
    gate = asyncio.Event()
    engine.plays.append(raw(STREAM_HEAD + chunk(b"one")))
    engine.plays.append(held(gate))

    async with client.stream("GET", engine.address, seconds=2) as told:
        assert await anext(told.chunks()) == b"one"
    await engine.until(lambda: engine.open == 0, seconds=1)


async def test_parts_may_take_longer_than_the_head(client: Client, engine: FakeEngine) -> None:
    gate = asyncio.Event()

    async def play(stage: Stage) -> None:
        await raw(STREAM_HEAD)(stage)
        await gate.wait()
        await raw(chunk(b"one"), LAST_CHUNK)(stage)

    engine.plays.append(play)
    async with client.stream("GET", engine.address, seconds=0.05) as told:
        reading = asyncio.ensure_future(anext(told.chunks()))
        assert not (await asyncio.wait([reading], timeout=0.1))[0]
        gate.set()
        assert await reading == b"one"


@pytest.mark.parametrize("said", [b"", STREAM_HEAD + chunk(b"one")], ids=["nothing", "a part"])
async def test_an_answer_that_is_not_whole_in_time_is_a_timeout(
    client: Client, engine: FakeEngine, said: bytes
) -> None:
    engine.plays.append(silent_after(said))
    with pytest.raises(UpstreamTimeoutError, match=r"GET .* within 0\.05 s"):
        await client.request("GET", engine.address, seconds=0.05)
    await engine.until(lambda: engine.open == 0, seconds=1)


async def test_an_answer_that_breaks_off_is_broken(client: Client, engine: FakeEngine) -> None:
    engine.plays.append(reset_after(STREAM_HEAD + chunk(b"one")))
    with pytest.raises(BrokenAnswerError):
        await client.request("GET", engine.address, seconds=2)


async def test_nobody_there_is_a_connect_error(client: Client, engine: FakeEngine) -> None:
    await engine.die()
    with pytest.raises(ConnectError):
        await client.request("GET", engine.address, seconds=2)


async def test_a_url_that_is_none_is_the_users_mistake(client: Client) -> None:
    with pytest.raises(InputError):
        await client.request("GET", "localhost:8000", seconds=2)


async def test_traffic_inside_a_fleet_never_leaves_by_a_proxy(engine: FakeEngine) -> None:
    async with FakeEngine() as proxy:
        inside, outside = Client(), Client(proxies={"http_proxy": proxy.address})
        await inside.request("GET", f"{engine.address}/in", seconds=2)
        await outside.request("GET", f"{engine.address}/out", seconds=2)
        assert [asked.target for asked in engine.asked] == ["/in"]
        assert [asked.target for asked in proxy.asked] == [f"{engine.address}/out"]
        await inside.close()
        await outside.close()


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb"])
async def test_a_header_cannot_smuggle_another(client: Client, engine: FakeEngine, value: str) -> None:
    with pytest.raises(AssertionError, match="smuggle"):
        await client.request("GET", engine.address, headers={"x-thing": value}, seconds=2)
    assert not engine.asked
