"""What a client key is for: its models, its limits, and pages of other origins."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from door import Door, error_of

from argosy.config.client_keys import ClientKey, digest
from argosy.wire.client import Answer
from engines import DONE, STREAM_HEAD, FakeEngine, chunk, delta, event, events_of, held, raw, stream
from engines import answer as answer_with
from waiting import eventually

APP = {"origin": "https://app.example"}


def bearer(key: str, **headers: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", **headers}


def key(text: str, *, models: Sequence[str] | None = None, **limits: int) -> ClientKey:
    return ClientKey(sha256=digest(text.encode()), models=None if models is None else tuple(models), **limits)


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [model["id"] for model in json.loads(answer.body)["data"]]


def error_of_stream(answer: Answer) -> Any:
    """Of the event that ends a stream that broke."""
    return events_of(answer.body)[-2]["error"]


async def test_a_key_sees_and_uses_its_own_models_only() -> None:
    keys = {"alice": key("a", models=["m*"]), "bob": key("b"), "carol": key("c", models=["none*"])}
    async with FakeEngine() as engine, Door(client_keys=keys) as door:
        await door.join(engine, "m.0")
        await door.join(engine, "secret.0")
        assert names(await door.request("GET", "/v1/models", headers=bearer("a"))) == ["m"]
        assert names(await door.request("GET", "/v1/models", headers=bearer("b"))) == ["m", "secret"]
        assert names(await door.request("GET", "/v1/models", headers=bearer("c"))) == []
        assert (await door.chat("m", headers=bearer("a"))).status == 200
        assert (await door.chat("secret", headers=bearer("b"))).status == 200
        refused = [
            (
                await door.chat(name, headers=bearer("a")),
                await door.request("GET", f"/v1/models/{name}", headers=bearer("a")),
            )
            for name in ("secret", "absent")
        ]
        for name, answers in zip(("secret", "absent"), refused, strict=True):
            for told in answers:
                assert (told.status, error_of(told)["code"]) == (404, "model_not_found")
                # Nothing tells one that is there from one that is not.
                assert error_of(told)["message"].replace(name, "X") == (
                    "The model 'X' does not exist or the key 'alice' is not for it; those that it is for: m."
                )
        assert len(engine.asked) == 2
    assert [call.principal for call in door.calls] == ["alice", "bob", "alice", "alice"]


async def test_requests_over_the_limit_are_told_when_to_come_again() -> None:
    async with FakeEngine() as engine, Door(client_keys={"alice": key("a", requests_per_minute=2)}) as door:
        await door.join(engine)
        first, _, third = [await door.chat(headers=bearer("a")) for _ in range(3)]
        assert first.status == 200
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        assert first.headers["x-ratelimit-reset-requests"].endswith("s")
        assert "x-ratelimit-limit-tokens" not in first.headers
        assert (third.status, error_of(third)["code"], error_of(third)["type"]) == (
            429,
            "rate_limit_exceeded",
            "requests",
        )
        assert third.headers["x-ratelimit-remaining-requests"] == "0"
        assert 1 <= int(third.headers["retry-after"]) <= 30
        assert "'alice' on requests per minute: limit 2" in error_of(third)["message"]
        assert len(engine.asked) == 2


async def test_tokens_are_charged_when_an_answer_ends() -> None:
    async with FakeEngine() as engine, Door(client_keys={"alice": key("a", tokens_per_minute=5)}) as door:
        await door.join(engine)
        first = await door.chat(headers=bearer("a"))
        used = json.loads(first.body)["usage"]["total_tokens"]
        assert used >= 5 and first.headers["x-ratelimit-remaining-tokens"] == "5"
        second = await door.chat(headers=bearer("a"))
        assert (second.status, error_of(second)["type"]) == (429, "tokens")
        assert int(second.headers["retry-after"]) >= 12 * (used - 5)
        assert len(engine.asked) == 1


async def test_a_stream_has_the_headers_and_is_charged_too() -> None:
    async with FakeEngine() as engine, Door(client_keys={"alice": key("a", tokens_per_minute=1)}) as door:
        await door.join(engine)
        usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
        engine.plays.append(stream(delta("x"), usage, DONE))
        answer = await door.chat(headers=bearer("a"), stream=True)
        assert answer.headers["x-ratelimit-limit-tokens"] == "1"
        assert events_of(answer.body)[0] == delta("x")
        refused = await door.chat(headers=bearer("a"), stream=True)
        assert refused.status == 429 and int(refused.headers["retry-after"]) > 8 * 60


async def test_a_stream_that_is_cut_is_charged_for_what_came() -> None:
    async with FakeEngine() as engine, Door(client_keys={"alice": key("a", tokens_per_minute=100)}) as door:
        await door.join(engine)
        events = [chunk(event(delta(str(number)))) for number in range(90)]
        engine.plays.append(raw(STREAM_HEAD, *events, close=True))
        answer = await door.chat(headers=bearer("a"), stream=True)
        assert error_of_stream(answer)["code"] == "engine_died"
        assert int((await door.chat(headers=bearer("a"))).headers["x-ratelimit-remaining-tokens"]) == 0


async def test_a_request_that_no_engine_served_costs_no_tokens() -> None:
    async with FakeEngine() as engine, Door(client_keys={"alice": key("a", tokens_per_minute=1)}) as door:
        await door.join(engine)
        engine.plays.append(answer_with({"error": {"message": "no"}}, 400))
        assert (await door.chat(headers=bearer("a"))).status == 400
        assert (await door.chat("absent", headers=bearer("a"))).status == 404
        assert (await door.chat(headers=bearer("a"))).status == 200


async def test_requests_at_once_are_bounded_until_one_ends_or_its_client_leaves() -> None:
    gate = asyncio.Event()
    async with FakeEngine() as engine, Door(client_keys={"alice": key("a", concurrent_requests=1)}) as door:
        await door.join(engine)
        engine.plays.append(held(gate))
        running = asyncio.create_task(door.chat(headers=bearer("a")))
        await eventually(lambda: engine.asked)
        refused = await door.chat(headers=bearer("a"))
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert "concurrent requests: limit 1" in error_of(refused)["message"]
        gate.set()
        assert (await running).status == 200
        assert (await door.chat(headers=bearer("a"))).status == 200
        engine.plays.append(held(asyncio.Event()))
        leaving = asyncio.create_task(door.chat(headers=bearer("a")))
        await eventually(lambda: len(engine.asked) == 3)
        leaving.cancel()
        await eventually(lambda: door.calls[-1].status == 499)
        assert (await door.chat(headers=bearer("a"))).status == 200


async def test_a_key_without_limits_has_no_limit_headers() -> None:
    async with (
        FakeEngine() as engine,
        Door(client_keys={"alice": key("a"), "bob": key("b", requests_per_minute=1)}) as door,
    ):
        await door.join(engine)
        for _ in range(3):
            answer = await door.chat(headers=bearer("a"))
            assert answer.status == 200
            assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


async def test_one_keys_limit_is_not_anothers() -> None:
    keys = {name: key(name, requests_per_minute=1) for name in ("a", "b")}
    async with FakeEngine() as engine, Door(client_keys=keys) as door:
        await door.join(engine)
        told = [(await door.chat(headers=bearer(name))).status for name in ("a", "a", "b", "b")]
        assert told == [200, 429, 200, 429]


async def test_a_key_is_answered_by_x_api_key() -> None:
    async with FakeEngine() as engine, Door(client_keys={"alice": key("a")}) as door:
        await door.join(engine)
        assert (await door.chat(headers={"x-api-key": "a"})).status == 200
        assert (await door.request("GET", "/v1/models", headers={"x-api-key": "a"})).status == 200
        assert (await door.chat(headers={"x-api-key": "b"})).status == 401


async def test_a_proxy_that_is_trusted_says_who_asks() -> None:
    async with FakeEngine() as engine, Door(trusted_proxies=["127.0.0.0/8"]) as door:
        await door.join(engine)
        assert (await door.chat(headers={"x-forwarded-for": "203.0.113.7"})).status == 200
    async with FakeEngine() as engine, Door() as other:
        await other.join(engine)
        assert (await other.chat(headers={"x-forwarded-for": "203.0.113.7"})).status == 200
    told = [(call.client, call.principal) for call in (*door.calls, *other.calls)]
    assert told == [("203.0.113.7",) * 2, ("127.0.0.1",) * 2]


async def test_pages_of_other_origins_read_nothing_by_default() -> None:
    async with FakeEngine() as engine, Door(client_keys=["a"]) as door:
        await door.join(engine)
        preflight = {**APP, "access-control-request-method": "POST"}
        for answer in (
            await door.chat(headers={**bearer("a"), **APP}),
            await door.request("OPTIONS", "/v1/chat/completions", headers=preflight),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_page_that_may_call_reads_every_answer() -> None:
    async with FakeEngine() as engine, Door(client_keys=["a"], cors_origins=["https://app.example"]) as door:
        await door.join(engine)
        answers = [
            (await door.chat(headers={**bearer("a"), **APP}), 200),
            (await door.chat(headers={**bearer("a"), **APP}, stream=True), 200),
            (await door.chat(headers={**bearer("wrong"), **APP}), 401),
            (await door.chat("absent", headers={**bearer("a"), **APP}), 404),
            (await door.request("GET", "/v1/models", headers={**bearer("a"), **APP}), 200),
            (await door.request("GET", "/health", headers=APP), 200),
            (await door.request("GET", "/nowhere", headers=APP), 404),
        ]
        for answer, status in answers:
            assert answer.status == status
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            assert answer.headers["vary"] == "origin"
            assert "x-request-id" in answer.headers["access-control-expose-headers"]
            assert "access-control-allow-credentials" not in answer.headers
        for origin in ("https://evil.example", "null", "https://app.example.evil"):
            other = await door.chat(headers=bearer("a", origin=origin))
            assert other.status == 200, "a key is a key; the browser keeps the answer from the page"
            assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models"])
async def test_a_preflight_needs_no_key_and_opens_nothing(path: str) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,x-stainless-os"}
    async with Door(client_keys=["a"], cors_origins=["https://app.example"]) as door:
        told = await door.request("OPTIONS", path, headers={**APP, **asked})
        assert (told.status, told.body) == (204, b"")
        assert told.headers["access-control-allow-origin"] == "https://app.example"
        assert told.headers["access-control-allow-headers"] == "authorization,x-stainless-os"
        assert "POST" in told.headers["access-control-allow-methods"]
        other = await door.request("OPTIONS", path, headers={"origin": "https://evil.example", **asked})
        assert other.status != 204 and "access-control-allow-origin" not in other.headers


async def test_every_origin_may_call_where_all_may() -> None:
    async with FakeEngine() as engine, Door(cors_origins=["*"]) as door:
        await door.join(engine)
        answer = await door.chat(headers=APP)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://app.example")
