"""What the door says no to, and how: OpenAI's envelope, the right status, and something to do about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from door import MESSAGES, Door, error_of, record

from argosy.protocol.endpoints import CHAT
from engines import FakeEngine, answer


@pytest.fixture
async def door(engine: FakeEngine) -> AsyncIterator[Door]:
    async with Door() as opened:
        await opened.join(engine, deployment=record(aliases=["gpt"]))
        yield opened


async def test_an_unknown_model_is_a_404_that_names_those_that_exist(door: Door) -> None:
    told = await door.chat("nobody")
    assert told.status == 404
    assert error_of(told) == {
        "message": "The model 'nobody' does not exist; those that exist: m, gpt.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


async def test_an_unknown_model_of_an_empty_fleet_is_a_404_too() -> None:
    async with Door() as door:
        told = await door.chat("nobody")
        assert (told.status, error_of(told)["message"]) == (
            404,
            "The model 'nobody' does not exist; there is none yet.",
        )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        ({"messages": MESSAGES}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": "hi"}, "messages"),
        ({"model": "m", "messages": MESSAGES, "stream": "yes"}, "stream"),
        (b'{"model":"m","messages":' + b"[" * 100_000, None),
    ],
)
async def test_a_bad_request_is_a_400_that_names_the_field(
    door: Door, engine: FakeEngine, body: Any, param: str | None
) -> None:
    told = await door.request("POST", CHAT, body)
    assert (told.status, error_of(told)["param"]) == (400, param)
    assert error_of(told)["type"] == "invalid_request_error"
    assert not engine.asked


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1", 404),
        ("POST", "/v1/images/generations", 404),
        ("POST", "/v1/models", 405),
        ("DELETE", "/health", 405),
        ("POST", "//v1/chat/completions", 404),
        ("POST", "/v1/chat/completions/", 404),
    ],
)
async def test_what_is_not_there_is_told_in_the_envelope(door: Door, method: str, path: str, status: int) -> None:
    told = await door.request(method, path)
    assert told.status == status
    assert error_of(told)["type"] == "invalid_request_error"
    assert path in error_of(told)["message"]


async def test_the_engines_400_passes_untouched(door: Door, engine: FakeEngine) -> None:
    body = b'{"error": {"message": "the prompt is too long", "type": "exceed_context_size_error", "code": 400}}'
    engine.plays.append(answer(body, 400))
    told = await door.chat()
    assert (told.status, told.body) == (400, body)
    assert door.calls[-1].attempts == 1


async def test_the_engines_429_passes_with_its_retry_after(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(answer({"error": {"message": "slow down"}}, 429, retry_after="7"))
    told = await door.chat()
    assert (told.status, told.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize("status", [401, 403])
async def test_trouble_with_the_gateways_own_key_is_never_the_clients(
    door: Door, engine: FakeEngine, status: int
) -> None:
    engine.plays.append(answer({"error": {"message": "Invalid API Key"}}, status))
    told = await door.chat()
    assert told.status == 502
    assert f"the engine refused the gateway's key ({status}): " in error_of(told)["message"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"<html>Bad Gateway</html>", "text/html"), (b"", "text/plain"), (b'{"detail":"boom"}', "application/json")],
)
async def test_an_error_that_no_client_could_read_is_wrapped(
    door: Door, engine: FakeEngine, body: bytes, content_type: str
) -> None:
    engine.plays.append(answer(body, 500, content_type=content_type))
    told = await door.chat()
    assert told.status == 502
    assert "the engine answered 500" in error_of(told)["message"]


@pytest.mark.parametrize("status", [401, 500])
async def test_an_engines_refusal_says_whose_it_is(door: Door, engine: FakeEngine, status: int) -> None:
    engine.plays.append(answer(b"no", status, content_type="text/plain"))
    assert error_of(await door.chat())["message"].startswith("m.0: ")


@pytest.mark.parametrize("given", ["abc-123", "req:1/2=+._", "x" * 128])
async def test_a_clients_own_request_id_is_kept(door: Door, engine: FakeEngine, given: str) -> None:
    for told in (
        await door.chat(headers={"x-request-id": given}),
        await door.chat("nobody", headers={"x-request-id": given}),
        await door.request("GET", "/health", headers={"x-request-id": given}),
    ):
        assert told.headers["x-request-id"] == given
    assert engine.asked[-1].headers["x-request-id"] == given
    assert [call.request_id for call in door.calls] == [given.encode()] * 2


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "é"])
async def test_an_insane_request_id_is_replaced(door: Door, engine: FakeEngine, given: str) -> None:
    told = await door.chat(headers={"x-request-id": given})
    assert told.headers["x-request-id"].startswith("req-")
    assert engine.asked[-1].headers["x-request-id"] == told.headers["x-request-id"]


async def test_every_answer_has_a_request_id_of_its_own(door: Door) -> None:
    told = [
        await door.chat(),
        await door.chat(stream=True),
        await door.chat("nobody"),
        await door.request("POST", CHAT, b"{"),
        await door.request("GET", "/nowhere"),
        await door.request("GET", "/health"),
        await door.request("GET", "/ready"),
        await door.request("GET", "/"),
        await door.request("GET", "/v1/models"),
        await door.request("GET", "/argosy/v1/replicas"),
    ]
    assert len({each.headers["x-request-id"] for each in told}) == len(told)


@pytest.mark.parametrize("content_type", ["text/html", "application/json", "text/event-stream"])
async def test_an_engines_4xx_in_words_of_its_own_keeps_its_status_in_the_envelope(
    door: Door, engine: FakeEngine, content_type: str
) -> None:
    engine.plays.append(answer(b'{"detail": "too long"}', 422, content_type=content_type))
    told = await door.chat(stream=True)
    assert told.status == 422
    assert "too long" in error_of(told)["message"]
