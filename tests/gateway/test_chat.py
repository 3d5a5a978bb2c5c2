"""The OpenAI surface when all is well."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import openai
import pytest
from door import JOIN_TOKEN, MESSAGES, Door, chat_bytes, record

from argosy.protocol.heartbeat import engine_key
from engines import (
    CHAT,
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    UNSIZED_HEAD,
    FakeEngine,
    Stage,
    answer,
    chat_stream,
    chunk,
    delta,
    event,
    held,
    raw,
    stream,
)


@pytest.fixture
async def door(engine: FakeEngine) -> AsyncIterator[Door]:
    async with Door() as opened:
        await opened.join(engine, deployment=record(aliases=["gpt-3.5-turbo"]))
        yield opened


async def test_a_plain_chat_is_the_engines_answer_byte_for_byte(door: Door, engine: FakeEngine) -> None:
    body = b'{ "choices" : [],\n"usage":{"prompt_tokens":7,"completion_tokens":2} }'
    engine.plays.append(answer(body))
    told = await door.chat()
    assert (told.status, told.body) == (200, body)
    assert told.headers["content-type"] == "application/json"
    call = door.calls[-1]
    assert (call.status, call.replica, call.attempts, call.model) == (200, "m.0", 1, "m")
    assert call.usage is not None and (call.usage.prompt_tokens, call.usage.completion_tokens) == (7, 2)


async def test_a_request_reaches_the_engine_byte_for_byte(door: Door, engine: FakeEngine) -> None:
    body = b'{"messages" : [{"role":"user","content":"\\u4f60"}] , "model":"m", "seed":1}'
    await door.request("POST", "/v1/chat/completions", body)
    assert engine.asked[-1].body == body
    assert (engine.asked[-1].method, engine.asked[-1].target) == ("POST", "/v1/chat/completions")


@pytest.mark.parametrize(
    ("path", "field"), [("/v1/completions", {"prompt": "hi"}), ("/v1/embeddings", {"input": ["hi", "ho"]})]
)
async def test_completions_and_embeddings_go_the_same_way(
    door: Door, engine: FakeEngine, path: str, field: dict[str, object]
) -> None:
    told = await door.request("POST", path, {"model": "m", **field})
    assert told.status == 200
    assert engine.asked[-1].target == path


async def test_a_stream_is_passed_on_event_by_event(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(chat_stream("Autumn", " leaves"))
    assert await door.streamed() == [delta("Autumn"), delta(" leaves"), DONE]


async def test_the_first_event_is_there_before_the_second_is_made(door: Door, engine: FakeEngine) -> None:
    gate = asyncio.Event()

    async def play(stage: Stage) -> None:
        await stage.send(STREAM_HEAD + chunk(event("one")))
        await gate.wait()
        await stage.send(chunk(event(DONE)) + LAST_CHUNK)

    engine.plays.append(play)
    body = json.dumps({"model": "m", "messages": MESSAGES, "stream": True}).encode()
    url = f"{door.url}/v1/chat/completions"
    async with door.client.stream("POST", url, body=body, seconds=5) as told:
        chunks = told.chunks()
        assert await anext(chunks) == event("one")
        assert told.headers["content-type"] == "text/event-stream; charset=utf-8"
        gate.set()
        assert b"".join([part async for part in chunks]) == event(DONE)


@pytest.mark.parametrize("cut", [1, 2, 3, 7])
async def test_events_that_come_in_pieces_leave_whole(door: Door, engine: FakeEngine, cut: int) -> None:
    events = [delta("秋"), delta("叶"), DONE]
    engine.plays.append(stream(*events, cut=cut))
    url, body = f"{door.url}/v1/chat/completions", {"model": "m", "messages": MESSAGES, "stream": True}
    async with door.client.stream("POST", url, body=json.dumps(body).encode(), seconds=5) as told:
        parts = [part async for part in told.chunks()]
    assert b"".join(parts) == b"".join(map(event, events))
    assert all(part.endswith(b"\n\n") for part in parts)
    assert len(parts) == len(events), "the pieces of an event were passed on one by one"


async def test_a_stream_that_ends_without_done_gets_one(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(stream(delta("x")))
    assert await door.streamed() == [delta("x"), DONE]


async def test_a_stream_whose_last_event_lacks_its_blank_line_is_mended(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(raw(STREAM_HEAD, chunk(event(delta("x")) + b"data: [DONE]"), LAST_CHUNK))
    assert await door.streamed() == [delta("x"), DONE]


async def test_a_stream_that_ends_with_its_connection_is_whole(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(raw(UNSIZED_HEAD, event(delta("x")), event(DONE), close=True))
    assert await door.streamed() == [delta("x"), DONE]


async def test_usage_of_a_stream_is_read_from_its_last_events(door: Door, engine: FakeEngine) -> None:
    counts = [
        {"usage": {"prompt_tokens": 7, "completion_tokens": 5}},
        {"timings": {"prompt_n": 3, "cache_n": 4, "predicted_n": 5}},
    ]
    for count in counts:
        last = event(delta("", **count)) + event(DONE)
        engine.plays.append(raw(STREAM_HEAD, chunk(event(delta("x"))), chunk(last) + LAST_CHUNK))
        await door.streamed()
        usage = door.calls[-1].usage
        assert usage is not None and (usage.prompt_tokens, usage.completion_tokens) == (7, 5)


async def test_usage_is_read_when_the_end_comes_by_itself(door: Door, engine: FakeEngine) -> None:
    counted = event(delta("", usage={"prompt_tokens": 7, "completion_tokens": 5}))
    passed_on = asyncio.Event()

    async def play(stage: Stage) -> None:
        await stage.send(STREAM_HEAD + chunk(event(delta("x"))) + chunk(counted))
        await passed_on.wait()
        await stage.send(chunk(event(DONE)) + LAST_CHUNK)

    engine.plays.append(play)
    reader, _ = await door.ask(stream=True)
    await asyncio.wait_for(reader.readuntil(counted), 5)
    passed_on.set()
    await asyncio.wait_for(reader.readuntil(event(DONE)), 5)
    assert door.calls[-1].usage is not None


async def test_an_answer_of_many_megabytes_arrives_whole(door: Door, engine: FakeEngine) -> None:
    body = b'{"data":"' + b"x" * 5_000_000 + b'"}'
    engine.plays.append(answer(body))
    told = await door.chat()
    assert told.body == body
    assert told.headers["content-length"] == str(len(body))


async def test_a_request_of_many_kilobytes_arrives_whole(door: Door, engine: FakeEngine) -> None:
    text = "y" * 900_000
    assert (await door.chat(user=text)).status == 200
    assert engine.bodies[-1]["user"] == text


async def test_an_alias_is_answered_by_its_deployment(door: Door, engine: FakeEngine) -> None:
    assert (await door.chat("gpt-3.5-turbo")).status == 200
    assert engine.bodies[-1]["model"] == "gpt-3.5-turbo"
    assert door.calls[-1].replica == "m.0"


async def test_only_known_headers_reach_the_engine(door: Door, engine: FakeEngine) -> None:
    private = {"authorization": "Bearer of-the-client", "cookie": "session=1", "x-forwarded-for": "10.0.0.1"}
    await door.chat(headers={**private, "x-request-id": "mine-1", "openai-organization": "o"})
    sent = engine.asked[-1].headers
    assert sent.pop("authorization") == f"Bearer {engine_key(JOIN_TOKEN, 'm.0', 1)}"
    assert sent.pop("x-request-id") == "mine-1"
    assert sent.keys() == {"host", "user-agent", "accept", "content-type", "content-length"}


async def test_the_engines_own_headers_stay_with_it(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(answer(CHAT, set_cookie="a=b", access_control_allow_origin="*", server="llama"))
    told = await door.chat()
    assert not told.headers.keys() & {"set-cookie", "access-control-allow-origin", "server"}


async def test_connections_to_an_engine_are_used_again(door: Door, engine: FakeEngine) -> None:
    for number in range(6):
        engine.plays.append(chat_stream("x") if number % 2 else answer())
        assert (await door.chat(stream=bool(number % 2))).status == 200
    assert len(engine.asked) == 6
    assert engine.connections == 1


async def test_a_connection_that_the_engine_closed_meanwhile_costs_nothing(door: Door, engine: FakeEngine) -> None:
    """llama.cpp closes after every stream, though it promises to keep the connection."""
    for _ in range(3):
        engine.plays.append(raw(STREAM_HEAD, chunk(event(DONE)), LAST_CHUNK, close=True))
        assert await door.streamed() == [DONE]
        assert door.calls[-1].attempts == 1


async def test_requests_on_one_connection_are_answered_in_their_order(door: Door, engine: FakeEngine) -> None:
    """Pipelining: the second is sent before the first is answered."""
    gate = asyncio.Event()

    engine.plays += [held(gate, answer({"n": 1})), answer({"n": 2})]
    reader, writer = await door.ask()
    writer.write(chat_bytes({"model": "m", "messages": MESSAGES}))
    await engine.until_asked(1)
    gate.set()
    seen = b""
    while b'{"n": 2}' not in seen:
        seen += await asyncio.wait_for(reader.read(65536), 5)
    assert seen.index(b'{"n": 1}') < seen.index(b'{"n": 2}')


async def test_the_official_client_chats(door: Door, engine: FakeEngine) -> None:
    engine.plays += [answer(), chat_stream("Autumn", " leaves")]
    async with openai.AsyncOpenAI(base_url=f"{door.url}/v1", api_key="any", max_retries=0) as client:
        plain = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        assert plain.choices[0].message.content == "Hello."
        chunks = await client.chat.completions.create(
            model="gpt-3.5-turbo", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        assert [each.choices[0].delta.content async for each in chunks] == ["Autumn", " leaves"]
        models = [model.id async for model in client.models.list()]
        assert models == ["m", "gpt-3.5-turbo"]
        with pytest.raises(openai.NotFoundError, match=r"those that exist: m, gpt-3\.5-turbo"):
            await client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "hi"}])


async def test_eight_clients_of_every_kind_leave_nothing_behind(door: Door, engine: FakeEngine) -> None:
    async with FakeEngine() as second:
        await door.join(second, "m.1")

        async def client(number: int) -> None:
            for turn in range(6):
                kind = (number + turn) % 4
                if kind == 0:
                    assert (await door.chat()).status == 200
                elif kind == 1:
                    await door.chat(stream=True)
                elif kind == 2:
                    assert (await door.chat("nobody")).status == 404
                else:
                    _, writer = await door.ask()
                    writer.transport.abort()

        await asyncio.gather(*(client(number) for number in range(8)))
        assert {len(engine.asked) > 5, len(second.asked) > 5} == {True}
        await asyncio.gather(*(door.chat() for _ in range(3)))
        await engine.until(lambda: door.in_flight("m.0") + door.in_flight("m.1") == 0)
