"""What scripts that were written for FastChat ask besides the OpenAI surface."""

from __future__ import annotations

import json
from typing import Any

import pytest
from door import MESSAGES, Door, error_of, record

from argosy.config.client_keys import ClientKey, digest
from argosy.protocol.endpoints import CHAT, EMBEDDINGS, TOKENIZE
from argosy.protocol.token_check import PATH
from engines import FakeEngine, Stage, answer


async def test_embeddings_take_their_model_from_the_path() -> None:
    async with Door() as door, FakeEngine() as engine:
        await door.join(engine, "org/m.0", deployment=record("org/m", aliases=["other"]))
        for body in ({"input": "a"}, {"model": None, "input": "a"}):
            assert (await door.request("POST", "/v1/engines/org/m/embeddings", body)).status == 200
            assert engine.asked[-1].target == EMBEDDINGS
            assert engine.bodies[-1] == {"model": "org/m", "input": "a"}
        await door.request("POST", "/v1/engines/nobody/embeddings", {"model": "other", "input": "a"})
        assert engine.bodies[-1] == {"model": "other", "input": "a"}  # a body's own model is meant
    assert {call.path for call in door.calls} == {EMBEDDINGS}


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"{}", "missing_required_parameter"), (b"[]", None), (b"{", None), (b'{"input": ""}', "empty_string")],
)
async def test_a_body_that_is_none_is_told_as_on_the_path_that_is_meant(body: bytes, code: str | None) -> None:
    async with Door() as door, FakeEngine() as engine:
        await door.join(engine)
        told = await door.request("POST", "/v1/engines/m/embeddings", body)
        assert (told.status, error_of(told)["code"]) == (400, code)
        assert (await door.request("GET", "/v1/engines/m/embeddings")).status == 405


async def test_a_chat_of_the_old_path_has_its_repetition_penalty_under_both_names() -> None:
    async with Door() as door, FakeEngine() as engine:
        await door.join(engine)
        body = {"model": "m", "messages": MESSAGES}
        told = await door.request("POST", "/api/v1/chat/completions", {**body, "repetition_penalty": 1.2})
        assert told.status == 200
        assert engine.asked[-1].target == CHAT
        assert engine.bodies[-1] == {**body, "repetition_penalty": 1.2, "repeat_penalty": 1.2}
        await door.request("POST", "/api/v1/chat/completions", body)
        assert engine.bodies[-1] == body


async def test_old_paths_are_told_to_pages_as_the_new_ones() -> None:
    async with Door(cors_origins=["https://app.example"]) as door, FakeEngine() as engine:
        await door.join(engine)
        headers = {"origin": "https://app.example"}
        for path in (EMBEDDINGS, "/v1/engines/m/embeddings"):
            told = await door.request("POST", path, {"model": "m", "input": "a"}, headers)
            assert told.headers["access-control-allow-origin"] == "https://app.example"


# token_check

PROMPTS = [{"model": "m", "prompt": "one two three", "max_tokens": 5}]


def engine_of(context: Any, *, count: int = 3, told_with_tokens: bool = False) -> FakeEngine:
    """llama.cpp tells its context in the list of models, vLLM with the tokens."""

    async def play(stage: Stage) -> None:
        if stage.asked.target == TOKENIZE:
            tokens = {"tokens": list(range(count))}
            await answer({**tokens, "count": count, "max_model_len": context} if told_with_tokens else tokens)(stage)
        else:
            await answer({"object": "list", "data": [{"id": "m", "meta": {"n_ctx": context}}]})(stage)

    return FakeEngine(*[play] * 10)


@pytest.mark.parametrize("told_with_tokens", [True, False], ids=["as vLLM", "as llama.cpp"])
@pytest.mark.parametrize(("context", "fits"), [(8, True), (7, False)])
async def test_a_prompt_and_its_answer_are_measured_by_the_engine(
    context: int, fits: bool, told_with_tokens: bool
) -> None:
    async with Door() as door, engine_of(context, told_with_tokens=told_with_tokens) as engine:
        await door.join(engine)
        for _ in range(2):
            told = await door.request("POST", PATH, {"prompts": PROMPTS})
            assert told.status == 200, told.body
            assert json.loads(told.body) == {"prompts": [{"fits": fits, "tokenCount": 3, "contextLength": context}]}
        asked = engine.asked[0].json
        assert (asked["content"], asked["prompt"], asked["model"]) == ("one two three", "one two three", "m")
        assert sum(each.method == "GET" for each in engine.asked) == (0 if told_with_tokens else 1)  # it is remembered


async def test_prompts_of_several_models_are_answered_in_order() -> None:
    async with Door() as door, engine_of(100) as one, engine_of(200, count=7) as two:
        await door.join(one)
        await door.join(two, "n.0", deployment=record("n", aliases=["also-n"]))
        prompts = [{**PROMPTS[0], "model": model} for model in ("also-n", "m", "n")]
        told = json.loads((await door.request("POST", PATH, {"prompts": prompts})).body)["prompts"]
        assert [each["tokenCount"] for each in told] == [7, 3, 7]
        assert [each["contextLength"] for each in told] == [100 if each["tokenCount"] == 3 else 200 for each in told]


async def test_an_engine_that_counts_no_tokens_is_named() -> None:
    async with Door() as door, FakeEngine() as engine:
        await door.join(engine, paths=[CHAT])
        told = await door.request("POST", PATH, {"prompts": PROMPTS})
        assert (told.status, error_of(told)["code"]) == (404, "path_not_served")
        assert TOKENIZE in error_of(told)["message"]


async def test_an_engine_that_does_not_tell_its_context_is_named() -> None:
    async with Door() as door, engine_of(None) as engine:
        await door.join(engine)
        told = await door.request("POST", PATH, {"prompts": PROMPTS})
        assert (told.status, error_of(told)["code"]) == (400, "context_length_unknown")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompts"),
        ({"prompts": []}, "prompts"),
        ({"prompts": [{"model": "m", "prompt": "a"}]}, "prompts[0].max_tokens"),
        ({"prompts": [*PROMPTS, {**PROMPTS[0], "max_tokens": -1}]}, "prompts[1].max_tokens"),
        (b"{", None),
    ],
)
async def test_what_is_no_token_check_is_refused_by_its_field(body: Any, param: str | None) -> None:
    async with Door() as door:
        told = await door.request("POST", PATH, body)
        assert (told.status, error_of(told)["param"]) == (400, param)


async def test_a_key_measures_only_for_its_own_models_and_within_its_limits() -> None:
    keys = {"a": ClientKey(sha256=digest(b"key-a"), models=("m",), requests_per_minute=2)}
    async with Door(client_keys=keys) as door, engine_of(100) as engine:
        await door.join(engine)
        headers = {"authorization": "Bearer key-a"}
        assert (await door.request("POST", PATH, {"prompts": PROMPTS}, headers)).status == 200
        other = await door.request("POST", PATH, {"prompts": [{**PROMPTS[0], "model": "n"}]}, headers)
        assert (other.status, error_of(other)["code"]) == (404, "model_not_found")
        limited = await door.request("POST", PATH, {"prompts": PROMPTS}, headers)
        assert (limited.status, error_of(limited)["code"]) == (429, "rate_limit_exceeded")
