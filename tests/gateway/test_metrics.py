"""What /metrics tells after traffic that is known, read as Prometheus reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import pytest
from door import ADMIN, Door, error_of, record
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from argosy.gateway.metrics import PATH
from argosy.protocol.admin import FleetTable
from argosy.protocol.endpoints import EMBEDDINGS
from argosy.wire.client import Answer
from engines import DONE, STREAM_HEAD, FakeEngine, answer, chat_stream, chunk, delta, event, held, reset_after
from waiting import eventually

KEYS = ["key-a", "key-b"]


@dataclass(frozen=True)
class Scrape:
    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples[f"argosy_{name}", frozenset(labels.items())]

    def values(self, label: str, family: str = "argosy_") -> set[str]:
        """Every value that a label has."""
        return {
            value
            for name, labels in self.samples
            for each, value in labels
            if each == label and name.startswith(family)
        }


async def scrape(door: Door) -> Scrape:
    told = await door.request("GET", PATH, headers=ADMIN)
    assert told.status == 200, told.body
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(told.body.decode())
    return Scrape({(each.name, frozenset(each.labels.items())): each.value for one in families for each in one.samples})


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with FakeEngine() as opened:
        yield opened


async def test_requests_and_tokens_are_counted_by_model_and_key(engine: FakeEngine) -> None:
    async with Door(client_keys=KEYS) as door:
        await door.join(engine, deployment=record(aliases=["alias"]))
        for key, model in (("key-a", "m"), ("key-a", "alias"), ("key-b", "m")):
            assert (await door.chat(model, headers=bearer(key))).status == 200
        found = await scrape(door)
        assert found("requests_total", model_name="m", key="key-1", status="200") == 2
        assert found("requests_total", model_name="m", key="key-2", status="200") == 1
        assert found("prompt_tokens_total", model_name="m", key="key-1") == 14
        assert found("generation_tokens_total", model_name="m", key="key-1") == 4
        assert found("generation_tokens_total", model_name="m", key="key-2") == 2


async def test_what_a_stranger_sends_becomes_no_label(engine: FakeEngine) -> None:
    async with Door(client_keys=KEYS) as door:
        await door.join(engine)
        await door.chat("unheard-of", headers=bearer("key-a"))
        await door.chat("unheard-of", headers=bearer("key-z"))
        found = await scrape(door)
        assert found("requests_total", model_name="", key="key-1", status="404") == 1
        assert found("requests_total", model_name="", key="", status="401") == 1
        assert found.values("model_name") == {"", "m"}
        assert found.values("key") == {"", "key-1"}
        assert found.values("model_name", "argosy_e2e") == set()


async def test_who_needs_no_key_has_no_name(door: Door) -> None:
    await door.chat()
    assert (await scrape(door))("requests_total", model_name="m", key="", status="200") == 1


async def test_a_plain_answer_is_timed_but_has_no_first_token(door: Door) -> None:
    told = await door.chat()
    assert told.status == 200
    found = await scrape(door)
    (call,) = door.calls
    assert found("e2e_request_latency_seconds_count", model_name="m") == 1
    assert found("e2e_request_latency_seconds_sum", model_name="m") == pytest.approx(call.ended_at - call.arrived_at)
    assert found("e2e_request_latency_seconds_bucket", model_name="m", le="+Inf") == 1
    assert found("request_queue_time_seconds_sum", model_name="m") == 0
    assert found("request_queue_time_seconds_bucket", model_name="m", le="0.001") == 1
    assert found("time_to_first_token_seconds_count", model_name="m") == 0


async def test_the_wait_for_the_engine_is_not_the_gateways_own_time(door: Door, engine: FakeEngine) -> None:
    gate = asyncio.Event()
    engine.plays.append(held(gate))
    asked = asyncio.create_task(door.chat())
    await engine.until_asked()
    await asyncio.sleep(0.2)  # what is measured is time
    gate.set()
    told = await asked
    found = await scrape(door)
    assert found("e2e_request_latency_seconds_sum", model_name="m") >= 0.19
    assert 0 < found("request_gateway_time_seconds_sum", model_name="m") < 0.1
    assert found("request_gateway_time_seconds_count", model_name="m") == 1
    timing = timing_of(told)
    assert timing["upstream"] >= 190
    assert timing["queue"] == 0
    assert 0 < timing["gateway"] < 100


async def test_a_stream_is_timed_to_its_first_token_and_between_tokens(door: Door, engine: FakeEngine) -> None:
    gate = asyncio.Event()

    async def play(stage) -> None:  # type: ignore[no-untyped-def]
        await stage.send(STREAM_HEAD + chunk(event(delta("a"))))
        await gate.wait()
        usage = {"usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}}
        await stage.send(chunk(event(delta("b", **usage)) + event(DONE)) + b"0\r\n\r\n")

    engine.plays.append(play)
    reader, _ = await door.ask(stream=True)
    await reader.readuntil(b'"a"')
    await asyncio.sleep(0.2)  # what is measured is time
    gate.set()
    await reader.readuntil(b"[DONE]")
    (call,) = await eventually(lambda: door.calls)
    found = await scrape(door)
    assert found("time_to_first_token_seconds_count", model_name="m") == 1
    assert found("time_to_first_token_seconds_sum", model_name="m") == pytest.approx(call.answered_at - call.arrived_at)
    between = found("request_time_per_output_token_seconds_sum", model_name="m")
    assert between == pytest.approx((call.ended_at - call.answered_at) / 4)
    assert 0.04 <= between < 0.2
    assert found("generation_tokens_total", model_name="m", key="") == 5
    assert found("request_gateway_time_seconds_sum", model_name="m") < 0.1


async def test_what_runs_and_what_waits_is_told(door: Door, engine: FakeEngine) -> None:
    gate = asyncio.Event()
    engine.plays.extend([held(gate)] * 3)
    await door.again(concurrency=1)
    asked = [asyncio.create_task(door.chat()) for _ in range(3)]
    await eventually(lambda: door.dispatcher.waiting() == {"m": 2})
    found = await scrape(door)
    assert found("num_requests_running", model_name="m", replica="m.0") == 1
    assert found("num_requests_waiting", model_name="m") == 2
    gate.set()
    told = await asyncio.gather(*asked)
    assert sorted(timing_of(each)["queue"] > 0 for each in told) == [False, True, True]
    found = await scrape(door)
    assert found("num_requests_running", model_name="m", replica="m.0") == 0
    assert found("num_requests_waiting", model_name="m") == 0
    assert found("request_queue_time_seconds_count", model_name="m") == 3
    assert found("request_queue_time_seconds_sum", model_name="m") > 0


async def test_who_waits_in_vain_counts_with_the_wait_but_not_with_the_answers() -> None:
    async with Door(table=FleetTable(revision=1, deployments=[record(limits={"queue": 0.05})])) as door:
        told = await door.chat()
        found = await scrape(door)
        assert found("requests_total", model_name="m", key="", status="503") == 1
        assert found("request_queue_time_seconds_sum", model_name="m") >= 0.04  # a timer may be early by a millisecond
        assert found("e2e_request_latency_seconds_count", model_name="m") == 0
        assert timing_of(told)["queue"] >= 40
        assert timing_of(told)["gateway"] < 50
        assert found("replicas_wanted", model_name="m") == 1


async def test_the_state_of_each_replica_is_told(door: Door) -> None:
    await door.again(state="draining")
    found = await scrape(door)
    states = {
        state: found("replica_state", model_name="m", replica="m.0", state=state) for state in found.values("state")
    }
    assert states.pop("draining") == 1
    assert set(states.values()) == {0}
    assert found("replica_routable", model_name="m", replica="m.0") == 0


async def test_a_replica_that_is_gone_is_ejected_once_and_its_requests_go_on(door: Door) -> None:
    async with FakeEngine() as other:
        await door.join(other, "m.1")
        await other.die()
        assert [(await door.chat()).status for _ in range(4)] == [200] * 4
        found = await scrape(door)
        assert found("replica_ejections_total", model_name="m", replica="m.1") == 1
        assert found("replica_retries_total", model_name="m", replica="m.1") == 1
        assert found("replica_errors_total", model_name="m", replica="m.1", code="engine_unreachable") == 1
        assert found("replica_routable", model_name="m", replica="m.1") == 0
        assert found("replica_ejections_total", model_name="m", replica="m.0") == 0
        assert found("requests_total", model_name="m", key="", status="200") == 4


async def test_errors_of_a_replica_are_told_by_their_code(door: Door, engine: FakeEngine) -> None:
    engine.plays.extend(
        [
            reset_after(),  # before a byte
            reset_after(STREAM_HEAD, chunk(event(delta("a")))),  # in the middle of a stream
            answer({"error": {"message": "out of memory"}}, 500),  # in its own words
            answer({"error": {"message": "too long"}}, 400),  # the client's fault
        ]
    )
    assert (await door.chat()).status == 502
    assert "error" in (await door.streamed())[-2]
    assert (await door.chat()).status == 500
    assert (await door.chat()).status == 400
    found = await scrape(door)
    assert found("replica_errors_total", model_name="m", replica="m.0", code="engine_died") == 2
    assert found("replica_errors_total", model_name="m", replica="m.0", code="engine_error") == 1
    assert found.values("code") == {"engine_died", "engine_error"}
    assert found("replica_retries_total", model_name="m", replica="m.0") == 0
    assert found("e2e_request_latency_seconds_count", model_name="m") == 1, "the stream; refusals are quick"


async def test_every_answer_of_the_openai_surface_tells_its_timing(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(chat_stream("a"))
    answers = [
        await door.chat(stream=True),
        await door.chat(),
        await door.chat("unheard-of"),
        await door.request("POST", EMBEDDINGS, b"no json"),
    ]
    assert [told.status for told in answers] == [200, 200, 404, 400]
    for told in answers:
        timing = timing_of(told)
        assert list(timing) == ["queue", "upstream", "gateway"]
        assert timing["gateway"] > 0


async def test_the_time_in_a_replica_that_failed_is_not_the_gateways_own(door: Door, engine: FakeEngine) -> None:
    gate = asyncio.Event()
    async with FakeEngine(reset_after(when=gate)) as other:
        await door.again(state="draining")
        await door.join(other, "m.1")
        asked = asyncio.create_task(door.chat())
        await other.until_asked()
        await door.again(state="ready")
        await asyncio.sleep(0.2)  # what is measured is time
        gate.set()
        told = await asked
    assert told.status == 200
    assert timing_of(told)["upstream"] >= 190
    assert timing_of(told)["gateway"] < 100
    found = await scrape(door)
    assert found("request_gateway_time_seconds_sum", model_name="m") < 0.1
    assert found("replica_retries_total", model_name="m", replica="m.1") == 1


async def test_openmetrics_is_spoken_to_who_asks_for_it(door: Door) -> None:
    await door.chat()
    told = await door.request("GET", PATH, headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert told.headers["content-type"].startswith("application/openmetrics-text")
    families = list(openmetrics_parser.text_string_to_metric_families(told.body.decode()))
    assert "argosy_requests" in {family.name for family in families}


async def test_where_a_client_key_is_set_metrics_want_the_admin_key(engine: FakeEngine) -> None:
    async with Door(client_keys=KEYS) as door:
        for headers in ({}, bearer("key-a"), bearer("wrong")):
            told = await door.request("GET", PATH, headers=headers)
            assert (told.status, error_of(told)["code"]) == (401, "invalid_api_key")
        assert (await door.request("GET", PATH, headers=ADMIN)).status == 200


async def test_a_door_open_to_this_machine_tells_them_to_this_machine_alone(door: Door) -> None:
    assert (await door.request("GET", PATH)).status == 200
    told = await door.request("GET", PATH, headers={"origin": "https://evil.example"})
    assert (told.status, error_of(told)["code"]) == (403, "wrong_origin")
    reader, _ = await door.say(b"GET /metrics HTTP/1.1\r\nhost: evil.example\r\n\r\n")
    assert b" 403 " in await reader.readline()


def timing_of(told: Answer) -> dict[str, float]:
    """Milliseconds by name."""
    parts = (part.split(";dur=") for part in told.headers["server-timing"].split(", "))
    return {name: float(duration) for name, duration in parts}
