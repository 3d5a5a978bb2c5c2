"""Who may pass: client keys, the admin key, the join token, and nobody in another's name."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
from door import ADMIN, ADMIN_KEY, JOIN_TOKEN, Door, error_of
from starlette.routing import Route

from argosy.protocol import arena, join, replica_log
from argosy.protocol import heartbeat as beat
from argosy.protocol.admin import FleetTable
from argosy.protocol.endpoints import ENDPOINTS, MESSAGES
from engines import FakeEngine
from voices import WorkerVoice

PUBLIC = {"/", "/health", "/ready", "/assets/{name}"}
SIGNED = {("POST", beat.PATH), ("POST", join.PATH), ("POST", replica_log.PATH)}  # with the join token


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with Door(client_keys=["key-a", "key-b"]) as opened:
        yield opened


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def routes(door: Door) -> list[tuple[str, str]]:
    """Every method and path that the gateway answers, out of its own list."""
    found = list[tuple[str, str]]()
    for route in door.gateway.routes:
        assert isinstance(route, Route)
        path = route.path.replace("{id:path}", "a/b").replace("{rest:path}", "stop/a/b")
        found += [(method, path) for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


async def test_every_route_that_is_not_public_refuses_whoever_has_no_key(door: Door) -> None:
    assert len(routes(door)) >= 14
    for method, path in routes(door):
        told = await door.request(method, path)
        if path in PUBLIC:
            assert told.status in (200, 404, 503), (method, path)
        else:
            assert told.status == 401, (method, path)
            anthropic = path.startswith(MESSAGES)
            assert error_of(told)["type"] == ("authentication_error" if anthropic else "invalid_request_error"), path


async def test_no_credential_opens_what_another_one_locks(door: Door) -> None:
    for method, path in routes(door):
        if path in PUBLIC:
            continue
        of_clients = path.startswith(("/v1/", "/api/v1/", "/argosy/v1/models", arena.PATH))
        of_clients = of_clients or path in (*ENDPOINTS, "/openapi.json")
        of_clients = of_clients and path not in (arena.EXPORT, arena.IMPORT)
        right = bearer("key-a") if of_clients else ADMIN
        for headers in (bearer("key-a"), ADMIN, bearer(JOIN_TOKEN), bearer("")):
            told = await door.request(method, path, headers=headers)
            refused = headers != right or (method, path) in SIGNED
            assert (told.status == 401) is refused, (method, path, headers, told.status)


async def test_a_wrong_key_is_told_how_to_send_a_right_one(door: Door) -> None:
    missing, wrong = await door.chat(), await door.chat(headers=bearer("key-c"))
    for told in (missing, wrong):
        assert told.status == 401
        assert told.headers["www-authenticate"] == "Bearer"
        assert error_of(told)["code"] == "invalid_api_key"
    assert "Authorization: Bearer KEY" in error_of(missing)["message"]
    assert "key-c" not in error_of(wrong)["message"]


async def test_each_key_is_counted_for_itself(door: Door) -> None:
    async with FakeEngine() as engine:
        await door.join(engine)
        for key in ("key-a", "key-b"):
            assert (await door.chat(headers=bearer(key))).status == 200
    assert [call.principal for call in door.calls] == ["key-1", "key-2"]


async def test_a_door_with_keys_answers_by_any_name(door: Door) -> None:
    async with FakeEngine() as engine:
        await door.join(engine)
        headers = {**bearer("key-a"), "origin": "https://app.example"}
        assert (await door.chat(headers=headers)).status == 200


async def test_an_open_door_keeps_out_pages_from_elsewhere() -> None:
    async with FakeEngine() as engine, Door(allowed_hosts=["models.example"]) as door:
        await door.join(engine)
        told = await door.chat(headers={"origin": "https://evil.example"})
        assert (told.status, error_of(told)["code"]) == (403, "wrong_origin")
        for origin in ("http://localhost:3000", "http://models.example"):
            assert (await door.chat(headers={"origin": origin})).status == 200
        for path in ("/v1/models", "/v1/models/m"):
            assert (await door.request("GET", path, headers={"origin": "https://evil.example"})).status == 403
        assert len(engine.asked) == 2


@pytest.mark.parametrize(("host", "status"), [("evil.example", 403), ("models.example:80", 200), ("localhost", 200)])
async def test_an_open_door_answers_to_its_own_names_only(host: str, status: int) -> None:
    async with Door(allowed_hosts=["models.example"]) as door:
        reader, _ = await door.say(f"GET /v1/models HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == str(status).encode()


@pytest.mark.parametrize("signature", ["", "0" * 64, "é"])
async def test_a_heartbeat_wants_the_join_tokens_signature(door: Door, signature: str) -> None:
    body = msgspec.json.encode(WorkerVoice().beat())
    for headers in ({beat.SIGNATURE_HEADER: signature}, {beat.SIGNATURE_HEADER: beat.sign(body, ADMIN_KEY), **ADMIN}):
        told = await door.request("POST", beat.PATH, body, headers)
        assert (told.status, error_of(told)["code"]) == (401, "wrong_join_token")
    assert not door.registry.replicas


async def test_a_signature_is_good_for_its_own_body_only(door: Door) -> None:
    voice = WorkerVoice()
    first, second = (msgspec.json.encode(voice.beat()) for _ in range(2))
    told = await door.request("POST", beat.PATH, second, {beat.SIGNATURE_HEADER: beat.sign(first, JOIN_TOKEN)})
    assert told.status == 401


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"seq":"one"}', b'{"x":' + b"[" * 100_000, b"\xff"])
async def test_a_signed_heartbeat_that_makes_no_sense_is_a_400(door: Door, body: bytes) -> None:
    told = await door.request("POST", beat.PATH, body, {beat.SIGNATURE_HEADER: beat.sign(body, JOIN_TOKEN)})
    assert told.status == 400
    told = await door.request("PUT", "/argosy/v1/table", body, ADMIN)
    assert told.status == 400


async def test_the_fleets_surface_takes_no_endless_bodies(door: Door) -> None:
    body = b"x" * (4 * 1024 * 1024 + 1)
    assert (await door.request("POST", beat.PATH, body)).status == 413
    assert (await door.request("PUT", "/argosy/v1/table", body, ADMIN)).status == 413


async def test_the_table_is_not_taken_from_whoever_has_no_admin_key(door: Door) -> None:
    table = msgspec.json.encode(FleetTable(revision=9, controller="http://evil.example"))
    assert (await door.request("PUT", "/argosy/v1/table", table, bearer("key-a"))).status == 401
    assert door.registry.table.revision == 0
