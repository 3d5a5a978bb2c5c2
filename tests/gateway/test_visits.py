"""Requests beside chats, completions and embeddings: which of them are told to the gateway's log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest
from door import ADMIN, Door, error_of

from argosy.protocol import heartbeat as beat
from argosy.protocol.admin import FleetTable
from argosy.protocol.endpoints import CHAT, ENDPOINTS, MESSAGES
from engines import FakeEngine, silent_after
from waiting import eventually


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with Door(client_keys=["key-a"]) as opened:
        yield opened


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/v1/models", {"authorization": "Bearer key-a"}, 200),
        ("GET", "/v1/models", {}, 401),
        ("GET", "/nowhere", {}, 404),
        ("DELETE", "/v1/models", {}, 405),
        ("GET", CHAT, {}, 405),
        ("PUT", "/argosy/v1/table", {}, 401),
        ("POST", beat.PATH, {}, 401),
        ("GET", "/ready?model=nobody", {}, 404),
    ],
)
async def test_every_request_is_told_once_with_the_id_of_its_answer(
    door: Door, method: str, path: str, headers: Mapping[str, str], status: int
) -> None:
    told = await door.request(method, path, headers=headers)
    assert told.status == status
    (visit,) = await eventually(lambda: door.visits)
    assert (visit.method, visit.path, visit.status) == (method, path.partition("?")[0], status)
    assert visit.request_id.decode() == told.headers["x-request-id"]
    assert 0 <= visit.seconds < 5
    assert not door.calls


async def test_what_is_asked_all_the_time_is_not_told_when_it_is_well(door: Door) -> None:
    async with FakeEngine() as engine:
        await door.join(engine)  # a heartbeat
        await door.push(FleetTable(revision=1))
        for path in ("/health", "/ready"):
            assert (await door.request("GET", path)).status == 200
        assert await door.replicas()
        await door.request("GET", "/nowhere")
        await eventually(lambda: door.visits)
        assert [visit.path for visit in door.visits] == ["/nowhere"]


async def test_a_chat_is_told_as_a_call_and_not_again(door: Door) -> None:
    await door.chat()
    await door.request("GET", "/nowhere")
    await eventually(lambda: door.visits)
    assert len(door.calls) == len(door.visits) == 1


async def test_a_client_that_left_before_its_answer_is_told_as_one(door: Door) -> None:
    async with FakeEngine(silent_after(b"")) as controller:
        await door.push(FleetTable(revision=1, controller=controller.address))
        key = ADMIN["authorization"]
        _, writer = await door.say(f"GET /argosy/v1/fleet HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\n\r\n".encode())
        await controller.until_asked()
        writer.transport.abort()
        (visit,) = await eventually(lambda: door.visits)
        assert (visit.path, visit.status) == ("/argosy/v1/fleet", 499)


@pytest.mark.parametrize("path", sorted(ENDPOINTS))
async def test_a_path_that_wants_a_post_says_so(door: Door, path: str) -> None:
    told = await door.request("GET", path)
    assert (told.status, told.headers["allow"]) == (405, "POST")
    said = error_of(told)
    assert (said["message"], said["type"]) == (f"GET is not taken at {path}, but POST.", "invalid_request_error")
    if not path.startswith(MESSAGES):  # whose envelope has neither
        assert (said["param"], said["code"]) == (None, "method_not_supported")


async def test_a_fault_of_ours_is_told_in_the_envelope_and_traced_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def full(_: FleetTable) -> None:
        raise OSError(28, "No space left on device")

    async with Door(on_table=full) as door:
        told = await door.push(FleetTable(revision=1))
        assert told.status == 500
        assert told.headers["content-type"] == "application/json"
        assert error_of(told)["code"] == "internal_error"
        (visit,) = await eventually(lambda: door.visits)
    assert (visit.status, visit.request_id.decode()) == (500, told.headers["x-request-id"])
    assert "No space left on device" in caplog.text
    assert told.headers["x-request-id"] in caplog.text
    assert b"space" not in told.body
