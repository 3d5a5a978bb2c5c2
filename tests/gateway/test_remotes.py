"""Remote deployments: servers that others run, probed and spoken to by the gateway itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from door import Door, error_of, record

from argosy.protocol.admin import FleetTable
from argosy.protocol.deployment import RemoteRecord
from engines import DONE, FakeEngine, answer, delta, stream
from waiting import eventually


@pytest.fixture
async def upstream() -> AsyncIterator[FakeEngine]:
    async with FakeEngine(answer({"data": []})) as started:  # the probe's
        yield started


def remote(*urls: str, **fields: object) -> FleetTable:
    deployment = record(replicas=len(urls), limits={"queue": 2}, aliases=["gpt"])
    remotes = [RemoteRecord(deployment="m", urls=list(urls), **fields)]  # type: ignore[arg-type]
    return FleetTable(revision=1, deployments=[deployment], remotes=remotes)


async def test_a_remote_is_probed_then_served(upstream: FakeEngine) -> None:
    async with Door(table=remote(f"{upstream.address}/v1")) as door:
        assert (await door.chat()).status == 200
    assert [asked.target for asked in upstream.asked] == ["/v1/models", "/v1/chat/completions"]
    assert all("authorization" not in asked.headers for asked in upstream.asked)


@pytest.mark.parametrize("base", ["/v1", "/v1/", "/openai/v1", "", "/openai"])
async def test_the_url_is_the_base_of_every_path(upstream: FakeEngine, base: str) -> None:
    async with Door(table=remote(upstream.address + base)) as door:
        assert (await door.chat()).status == 200
    prefix = base.removesuffix("/").removesuffix("/v1")
    assert [asked.target for asked in upstream.asked] == [f"{prefix}/v1/models", f"{prefix}/v1/chat/completions"]


async def test_the_model_is_sent_by_the_name_that_the_remote_knows(upstream: FakeEngine) -> None:
    upstream.plays += [answer({"model": "theirs"}), stream(delta("x"), DONE)]
    async with Door(table=remote(f"{upstream.address}/v1", model="theirs")) as door:
        told = await door.chat("gpt", seed=7)
        assert json.loads(told.body) == {"model": "theirs"}, "answers are never rewritten"
        await door.streamed(top_p=0.5)
    assert [
        (body["model"], body.get("seed"), body.get("top_p")) for body in [asked.json for asked in upstream.asked[1:]]
    ] == [
        ("theirs", 7, None),
        ("theirs", None, 0.5),
    ]


async def test_the_remotes_key_comes_from_the_gateways_environment(upstream: FakeEngine) -> None:
    table = remote(f"{upstream.address}/v1", api_key_env="UPSTREAM_KEY")
    async with Door(table=table, variables={"UPSTREAM_KEY": "secret"}) as door:
        await door.chat(headers={"authorization": "Bearer of-the-client"})
    assert [asked.headers["authorization"] for asked in upstream.asked] == ["Bearer secret"] * 2


async def test_a_remote_without_its_key_has_failed_and_says_why(upstream: FakeEngine) -> None:
    async with Door(table=remote(f"{upstream.address}/v1", api_key_env="UPSTREAM_KEY")) as door:
        for _ in range(2):
            told = await door.chat()
            assert (told.status, error_of(told)["code"]) == (503, "failed")
            assert "UPSTREAM_KEY, which is not set" in error_of(told)["message"]
    assert not upstream.asked


@pytest.mark.parametrize(
    "variables",
    [{"all_proxy": "socks5://127.0.0.1:1080"}, {"http_proxy": "http://proxy..example/"}, {"http_proxy": "x:y"}],
)
async def test_a_proxy_that_cannot_be_used_is_the_remotes_trouble_alone(
    upstream: FakeEngine, variables: dict[str, str]
) -> None:
    async with FakeEngine() as engine, Door(table=remote(f"{upstream.address}/v1"), variables=variables) as door:
        await door.join(engine, "local.0")
        await eventually(lambda: door.registry.replicas["m.0"].status.state == "backoff")
        assert "there is no way to m.0" in door.registry.replicas["m.0"].status.reason
        assert (await door.chat("local")).status == 200


async def test_a_remote_that_does_not_answer_is_asked_again_until_it_does(upstream: FakeEngine) -> None:
    await upstream.die()
    async with Door(table=remote(f"{upstream.address}/v1")) as door:
        waiting = asyncio.create_task(door.chat())
        await eventually(lambda: door.registry.replicas["m.0"].status.state == "backoff")
        await upstream.start()
        assert (await waiting).status == 200


@pytest.mark.parametrize(("status", "state"), [(404, "ready"), (401, "backoff"), (403, "backoff"), (500, "backoff")])
async def test_a_remote_is_well_when_it_answers_and_takes_our_key(
    upstream: FakeEngine, status: int, state: str
) -> None:
    upstream.plays.clear()
    upstream.plays.append(answer(b"", status))
    async with Door(table=remote(f"{upstream.address}/v1")) as door:
        await eventually(lambda: door.registry.replicas["m.0"].status.state != "starting")
        assert door.registry.replicas["m.0"].status.state == state


async def test_a_dead_url_is_left_for_another(upstream: FakeEngine) -> None:
    async with FakeEngine(answer({})) as second:
        async with Door(table=remote(f"{upstream.address}/v1", f"{second.address}/v1")) as door:
            await eventually(lambda: len(door.registry.deployments["m"].routable) == 2)
            await upstream.die()
            for _ in range(3):
                assert (await door.chat()).status == 200
        assert [asked.target for asked in second.asked].count("/v1/chat/completions") == 3


async def test_requests_go_through_the_proxy_of_the_environment(upstream: FakeEngine) -> None:
    """To remotes alone: what is inside the fleet never leaves by it."""
    async with (
        FakeEngine() as engine,
        Door(table=remote("http://models.example/v1"), variables={"http_proxy": upstream.address}) as door,
    ):
        await door.join(engine, "local.0")
        assert (await door.chat()).status == 200
        assert (await door.chat("local")).status == 200
        assert [asked.target for asked in engine.asked] == ["/v1/chat/completions"]
    assert [asked.target for asked in upstream.asked] == [
        "http://models.example/v1/models",
        "http://models.example/v1/chat/completions",
    ]
    assert {asked.headers["host"] for asked in upstream.asked} == {"models.example"}


@pytest.mark.parametrize("key", ["se€kret", "abc\nx-evil: 1", "two words"])
async def test_a_key_that_no_header_may_hold_fails_its_replica_and_nothing_else(key: str) -> None:
    async with FakeEngine() as engine:
        table = FleetTable(
            revision=1,
            deployments=[record("up"), record("m")],
            remotes=[RemoteRecord(deployment="up", urls=[engine.address + "/v1"], api_key_env="KEY")],
        )
        async with Door(table=table, variables={"KEY": key}) as door:
            await eventually(lambda: door.registry.replicas["up.0"].status.state == "failed")
            told = await door.chat("up")
            assert (told.status, error_of(told)["code"]) == (503, "failed")
            assert "KEY" in error_of(told)["message"]
            assert not engine.asked
