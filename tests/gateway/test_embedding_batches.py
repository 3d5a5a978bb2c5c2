"""Embeddings requests of more inputs than an engine is to get at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from door import Door, error_of, record

from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.endpoints import EMBEDDINGS
from argosy.protocol.openai import Usage
from argosy.protocol.traits import EngineTraits
from engines import FakeEngine, Stage, answer, reset_after, silent_after


def batched(most: int = 3, **fields: Any) -> DeploymentRecord:
    return record(embedding_batch=most, task="embed", **fields)


def vector_of(given: Any) -> Any:
    """What an engine of these tests makes of an input: one can tell which one it was."""
    return [len(given), 0.5] if isinstance(given, list) else [float(given.rpartition(" ")[2]), 0.5]


async def embed(stage: Stage) -> None:
    """The last one first: what tells an input's place is its index."""
    inputs = stage.asked.json["input"]
    data = [{"object": "embedding", "index": index, "embedding": vector_of(each)} for index, each in enumerate(inputs)]
    usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
    body = {"object": "list", "model": "/a/file.gguf", "data": data[::-1], "usage": usage}
    await answer(body)(stage)


def engine(count: int) -> FakeEngine:
    return FakeEngine(*[embed] * count)


async def ask(door: Door, given: Any, **fields: Any) -> Any:
    told = await door.request("POST", EMBEDDINGS, {"model": "m", "input": given, **fields})
    assert told.status == 200, told.body
    return json.loads(told.body)


async def test_many_inputs_go_in_parts_and_come_back_as_one_answer_in_order() -> None:
    async with Door() as door, engine(4) as one:
        await door.join(one, deployment=batched())
        told = await ask(door, [f"text {index}" for index in range(10)], user="u")
        assert [each["embedding"] for each in told["data"]] == [[float(index), 0.5] for index in range(10)]
        assert [each["index"] for each in told["data"]] == list(range(10))
        assert (told["object"], told["model"]) == ("list", "m")
        assert told["usage"] == {"prompt_tokens": 10, "total_tokens": 10}
        assert [len(body["input"]) for body in one.bodies] == [3, 3, 3, 1]
        assert {body["user"] for body in one.bodies} == {"u"}
    (call,) = door.calls  # one request, whatever it was made of
    assert (call.status, call.usage, call.attempts) == (200, Usage(10), 4)


async def test_what_fits_goes_out_byte_for_byte() -> None:
    async with Door() as door, FakeEngine() as one:
        await door.join(one, deployment=batched())
        for body in (b'{"model" : "m","input":["a", "b", "c"]}', b'{"model":"m","input":[1,2,3,4,5] }'):
            assert (await door.request("POST", EMBEDDINGS, body)).status == 200
            assert one.asked[-1].body == body  # five tokens are one text


async def test_lists_of_tokens_are_parted_as_texts_are() -> None:
    async with Door() as door, engine(2) as one:
        await door.join(one, deployment=batched(2))
        told = await ask(door, [[1], [1, 2], [1, 2, 3]])
        assert [each["embedding"][0] for each in told["data"]] == [1, 2, 3]
        assert [body["input"] for body in one.bodies] == [[[1], [1, 2]], [[1, 2, 3]]]


async def test_vectors_in_base64_stay_as_they_are() -> None:
    def coded(*vectors: str) -> Any:
        data = [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(vectors)]
        return answer({"object": "list", "data": data})

    async with Door() as door, FakeEngine(coded("AACAPw=="), coded("AAAAQA==")) as one:
        await door.join(one, deployment=batched(1))
        told = await ask(door, ["a", "b"], encoding_format="base64")
        assert [each["embedding"] for each in told["data"]] == ["AACAPw==", "AAAAQA=="]
        assert told["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


async def test_all_replicas_work_on_a_large_request_each_on_one_part_at_a_time() -> None:
    running, most = 0, 0
    both = asyncio.Event()

    async def slow(stage: Stage) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 5)
        await embed(stage)
        running -= 1

    async with Door() as door, FakeEngine(*[slow] * 6) as one, FakeEngine(*[slow] * 6) as two:
        await door.join(one, "m.0", deployment=batched(1, replicas=2))
        await door.join(two, "m.1", deployment=batched(1, replicas=2))
        told = await ask(door, [f"text {index}" for index in range(6)])
        assert [each["embedding"][0] for each in told["data"]] == [0, 1, 2, 3, 4, 5]
        assert most == 2
        assert len(one.asked) and len(two.asked)


async def test_an_engine_of_which_it_is_known_gets_no_more_than_it_takes() -> None:
    async with Door() as door, engine(2) as one:
        await door.join(one, deployment=record(task="embed"), traits=EngineTraits(most_inputs=2))
        await ask(door, ["text 0", "text 1", "text 2"])
        assert [len(body["input"]) for body in one.bodies] == [2, 1]


async def test_a_part_whose_engine_dies_goes_to_another() -> None:
    async with Door() as door, FakeEngine(embed, reset_after(), *[embed] * 8) as one, engine(8) as two:
        await door.join(one, "m.0", deployment=batched(1, replicas=2))
        await door.join(two, "m.1", deployment=batched(1, replicas=2))
        told = await ask(door, [f"text {index}" for index in range(8)])
        assert [each["embedding"][0] for each in told["data"]] == list(range(8))


async def test_a_part_that_is_refused_refuses_the_whole() -> None:
    refusal = answer({"error": {"message": "no such format", "type": "invalid_request_error"}}, 400)
    async with Door() as door, FakeEngine(embed, refusal) as one:
        await door.join(one, deployment=batched(1))
        told = await door.request("POST", EMBEDDINGS, {"model": "m", "input": ["text 0", "text 1", "text 2"]})
        assert (told.status, error_of(told)["message"]) == (400, "no such format")
        assert told.headers["content-type"] == "application/json"
        assert len(one.asked) == 2
    assert door.calls[-1].status == 400


@pytest.mark.parametrize(
    "said",
    [{"data": []}, {"data": [{"index": 7, "embedding": [1]}]}, {"data": [{"embedding": [1]}]}, {"vectors": 1}],
)
async def test_an_answer_that_lacks_a_vector_is_the_engines_fault(said: Any) -> None:
    async with Door() as door, FakeEngine(answer(said), answer(said)) as one:
        await door.join(one, deployment=batched(1))
        told = await door.request("POST", EMBEDDINGS, {"model": "m", "input": ["a", "b"]})
        assert (told.status, error_of(told)["code"]) == (502, "engine_died")
        assert error_of(told)["message"].startswith("m.0: ")


async def test_a_client_that_leaves_ends_all_parts() -> None:
    async with Door() as door, FakeEngine(silent_after()) as one, FakeEngine(silent_after()) as two:
        await door.join(one, "m.0", deployment=batched(1, replicas=2))
        await door.join(two, "m.1", deployment=batched(1, replicas=2))
        body = json.dumps({"model": "m", "input": ["a", "b", "c"]}).encode()
        head = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % (EMBEDDINGS.encode(), len(body))
        _, writer = await door.say(head + body)
        await one.until_asked()
        await two.until_asked()
        writer.transport.abort()
        await one.until(lambda: one.open == 0)
        await two.until(lambda: two.open == 0)
        assert (door.in_flight("m.0"), door.in_flight("m.1")) == (0, 0)
    assert [call.status for call in door.calls] == [499]
