"""What the door tells of itself: models, health, readiness."""

from __future__ import annotations

import json
from typing import Any

import pytest
from door import Door, error_of, record

from argosy.protocol.admin import FleetTable
from argosy.protocol.deployment import DeploymentRecord
from engines import FakeEngine


async def ready(door: Door, query: str = "") -> tuple[int, Any]:
    told = await door.request("GET", f"/ready{query}")
    return told.status, json.loads(told.body).get("deployments")


async def test_models_are_names_then_aliases_with_their_root() -> None:
    table = FleetTable(
        revision=1,
        deployments=[record("Qwen/Qwen2.5-7B", aliases=["gpt"], created=7), record("embed", task="embed")],
    )
    async with FakeEngine() as engine, Door(table=table) as door:
        await door.join(engine, "embed.0")
        told = await door.request("GET", "/v1/models")
        assert told.headers["content-type"] == "application/json"
        listed = json.loads(told.body)
        assert listed["object"] == "list"
        assert [(each["id"], each["root"], each["ready"]) for each in listed["data"]] == [
            ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B", False),
            ("embed", "embed", True),
            ("gpt", "Qwen/Qwen2.5-7B", False),
        ]
        assert listed["data"][0] == {
            "id": "Qwen/Qwen2.5-7B",
            "object": "model",
            "created": 7,
            "owned_by": "argosy",
            "root": "Qwen/Qwen2.5-7B",
            "task": "generate",
            "ready": False,
        }


@pytest.mark.parametrize("path", ["Qwen/Qwen2.5-7B", "Qwen%2FQwen2.5-7B", "gpt"])
async def test_a_model_is_found_by_name_and_alias_slash_or_not(path: str) -> None:
    table = FleetTable(revision=1, deployments=[record("Qwen/Qwen2.5-7B", aliases=["gpt"])])
    async with Door(table=table) as door:
        told = await door.request("GET", f"/v1/models/{path}")
        assert told.status == 200
        assert json.loads(told.body)["id"] == path.replace("%2F", "/")
        assert json.loads(told.body)["root"] == "Qwen/Qwen2.5-7B"


async def test_a_model_that_is_not_there_is_a_404() -> None:
    async with Door() as door:
        told = await door.request("GET", "/v1/models/a/b")
        assert (told.status, error_of(told)["code"]) == (404, "model_not_found")


async def test_health_is_that_the_process_lives() -> None:
    async with Door(client_keys=["k"]) as door:
        told = await door.request("GET", "/health")
        assert (told.status, json.loads(told.body)) == (200, {"status": "ok"})


async def test_the_front_page_says_where_the_api_is() -> None:
    async with Door(client_keys=["k"]) as door:
        told = await door.request("GET", "/")
        assert told.status == 200
        assert f"{door.url}/v1".encode() in told.body


async def test_a_head_request_is_answered_without_a_body() -> None:
    async with Door() as door:
        reader, _ = await door.say(b"HEAD /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        seen = await reader.read()
        assert seen.startswith(b"HTTP/1.1 200")
        assert seen.endswith(b"\r\n\r\n")


async def test_a_fleet_is_ready_when_each_deployment_has_been_or_has_failed() -> None:
    table = FleetTable(
        revision=1,
        deployments=[
            record("a", replicas=2),
            record("b"),
            record("c"),
            DeploymentRecord(name="d", revision=1, stopped=True),
        ],
    )
    async with FakeEngine() as engine, Door(table=table) as door:
        assert await ready(door) == (503, {"a": "starting", "b": "starting", "c": "starting", "d": "stopped"})
        await door.join(engine, "a.0", deployment=record("a", replicas=2))
        await door.join(engine, "b.0")
        await door.join(engine, "c.0", state="failed", reason="no such file")
        assert await ready(door) == (503, {"a": "starting", "b": "ready", "c": "failed", "d": "stopped"})
        await door.join(engine, "a.1", deployment=record("a", replicas=2))
        assert await ready(door) == (200, {"a": "ready", "b": "ready", "c": "failed", "d": "stopped"})
        await door.again("a.0", state="backoff")
        status, states = await ready(door)
        assert (status, states["a"]) == (200, "degraded")


@pytest.mark.parametrize(("model", "status"), [("a", 200), ("gpt", 200), ("b", 503), ("c", 503), ("d", 503)])
async def test_one_model_is_ready_when_it_can_be_used(model: str, status: int) -> None:
    stopped = DeploymentRecord(name="d", revision=1, stopped=True)
    table = FleetTable(
        revision=1,
        deployments=[record("a", aliases=["gpt"]), record("b"), record("c"), stopped],
        failed={"c.0": "no such file"},
    )
    async with FakeEngine() as engine, Door(table=table) as door:
        await door.join(engine, "a.0")
        assert (await ready(door, f"?model={model}"))[0] == status


async def test_readiness_of_an_unknown_model_is_a_404() -> None:
    async with Door() as door:
        assert (await door.request("GET", "/ready?model=nobody")).status == 404
