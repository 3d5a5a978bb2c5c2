"""OpenAI's own client, which takes nothing that does not fit its types, over every engine that runs here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from command import Argosy

pytestmark = pytest.mark.model

GENERATING = ("smollm2", "fake", "program", "upstream")
ASK: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Name three colours, in words."}]


@pytest.fixture(scope="module")
def ai(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[openai.OpenAI]:
    folder = tmp_path_factory.mktemp("strict")
    theirs, ours = Argosy(folder / "theirs", folder), Argosy(folder / "ours", folder)
    theirs.run("up", "-d", theirs.file("gateway: {port: 0}\ndeployments:\n  fake: {engine: echo}", "theirs.yaml"))
    url = theirs.ps()["gateways"][0]["address"]
    program = f'["{sys.executable}", -m, argosy.engines.echo_server, --name, program, --port, "{{port}}"]'
    fleet = f"""
gateway: {{port: 0}}
deployments:
  smollm2: {{source: {smollm2}, options: {{context: 512, slots: 2, threads: 1}}}}
  vectors: {{source: {smollm2}, task: embed, options: {{context: 64, slots: 1}}}}
  fake: {{engine: echo}}
  program: {{command: {program}}}
  upstream: {{urls: [{url}/v1], model: fake}}
"""
    try:
        ours.run("up", "-d", ours.file(fleet))
        base = ours.ps()["gateways"][0]["address"] + "/v1"
        with openai.OpenAI(base_url=base, api_key="none", max_retries=0, _strict_response_validation=True) as client:
            yield client
    finally:
        for fleet_of in (ours, theirs):
            fleet_of.run("down")
            fleet_of.end()


@pytest.fixture(scope="module")
def lenient(ai: openai.OpenAI) -> Iterator[openai.OpenAI]:
    """For streamed completions: the client's type wants a finish reason in every chunk, and OpenAI sends null too."""
    with openai.OpenAI(base_url=ai.base_url, api_key="none", max_retries=0) as client:
        yield client


def validated(chunk: openai.types.Completion) -> openai.types.Completion:
    """The chunk, taken strictly but for a finish reason that is null."""
    told = chunk.to_dict()
    choices: Any = told["choices"]
    for choice in choices:
        choice["finish_reason"] = choice["finish_reason"] or "content_filter"
    return openai.types.Completion.model_validate(told)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("model", GENERATING)
class TestGeneration:
    def test_a_chat(self, ai: openai.OpenAI, model: str, n: int) -> None:
        said = ai.chat.completions.create(model=model, messages=ASK, max_tokens=4, n=n, temperature=0)
        assert len(said.choices) == n
        assert all(choice.message.content and choice.finish_reason for choice in said.choices)
        assert said.usage is not None
        assert said.usage.completion_tokens == 4 * n

    def test_a_streamed_chat(self, ai: openai.OpenAI, model: str, n: int) -> None:
        stream = ai.chat.completions.create(
            model=model,
            messages=ASK,
            max_tokens=4,
            n=n,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        finished = [choice.index for chunk in chunks for choice in chunk.choices if choice.finish_reason]
        assert sorted(finished) == list(range(n))
        assert (chunks[-1].choices, sum(chunk.usage is not None for chunk in chunks)) == ([], 1)
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 4 * n

    def test_a_completion_of_a_list(self, ai: openai.OpenAI, model: str, n: int) -> None:
        prompts = ["One two three four five", "Red green blue white black"]
        said = ai.completions.create(model=model, prompt=prompts, max_tokens=3, n=n, temperature=0)
        assert [choice.index for choice in said.choices] == list(range(2 * n))
        assert said.usage is not None
        assert said.usage.completion_tokens == 3 * 2 * n

    def test_a_streamed_completion_of_a_list(self, lenient: openai.OpenAI, model: str, n: int) -> None:
        stream = lenient.completions.create(
            model=model,
            prompt=["One two three four five", "Red green blue white black"],
            max_tokens=3,
            n=n,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [validated(chunk) for chunk in stream]
        finished = [choice.index for chunk in chunks for choice in chunk.choices if choice.finish_reason == "length"]
        assert sorted(finished) == list(range(2 * n))
        assert (chunks[-1].choices, sum(chunk.usage is not None for chunk in chunks)) == ([], 1)
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 3 * 2 * n


PAINT = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}, "coats": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["colour", "coats"],
    "additionalProperties": False,
}
TOOLS: list[Any] = [{"type": "function", "function": {"name": "paint", "strict": True, "parameters": PAINT}}]


def check_paint(text: str) -> None:
    told = json.loads(text)
    assert told.keys() == {"colour", "coats"}
    assert told["colour"] in ("red", "blue")
    assert 1 <= told["coats"] <= 9


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", GENERATING)
def test_an_answer_is_of_the_schema_that_was_asked_for(ai: openai.OpenAI, model: str, streamed: bool) -> None:
    asked: Any = {"model": model, "messages": ASK, "max_tokens": 64, "temperature": 0}
    asked["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": "paint", "strict": True, "schema": PAINT},
    }
    if streamed:
        chunks = ai.chat.completions.create(**asked, stream=True)
        check_paint("".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices))
    else:
        check_paint(ai.chat.completions.create(**asked).choices[0].message.content or "")


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("model", ["smollm2", "fake", "upstream"])  # `program` is echo without a door before it
class TestForcedToolCalls:
    def test_a_plain_call(self, ai: openai.OpenAI, model: str, n: int) -> None:
        said = ai.chat.completions.create(
            model=model, messages=ASK, max_tokens=64, n=n, temperature=0, tools=TOOLS, tool_choice="required"
        )
        assert [choice.finish_reason for choice in said.choices] == ["tool_calls"] * n
        for choice in said.choices:
            (call,) = choice.message.tool_calls or ()
            assert call.type == "function"
            assert (call.function.name, choice.message.content) == ("paint", None)
            check_paint(call.function.arguments)

    def test_a_streamed_call(self, ai: openai.OpenAI, model: str, n: int) -> None:
        stream = ai.chat.completions.create(
            model=model,
            messages=ASK,
            max_tokens=64,
            n=n,
            temperature=0,
            tools=TOOLS,
            tool_choice={"type": "function", "function": {"name": "paint"}},
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        choices = [choice for chunk in chunks for choice in chunk.choices]
        assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"] * n
        for index in range(n):
            parts = [part for each in choices if each.index == index for part in each.delta.tool_calls or ()]
            assert parts[0].id
            assert all(part.function is not None and part.id is None for part in parts[1:])
            check_paint("".join(part.function.arguments or "" for part in parts if part.function is not None))
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens > n


@pytest.mark.parametrize("streamed", [False, True])
def test_logprobs_of_a_completion_have_its_own_shape(ai: openai.OpenAI, lenient: openai.OpenAI, streamed: bool) -> None:
    asked = {"model": "smollm2", "prompt": "One two", "max_tokens": 3, "logprobs": 2, "temperature": 0}
    answers = (
        [validated(chunk) for chunk in lenient.completions.create(**asked, stream=True)]
        if streamed
        else [ai.completions.create(**asked)]
    )
    told = [choice.logprobs for answer in answers for choice in answer.choices if choice.logprobs]
    tokens = [token for each in told for token in each.tokens or ()]
    assert tokens
    assert "".join(tokens) == "".join(choice.text for answer in answers for choice in answer.choices)
    assert all(len(tops) == 2 for each in told for tops in each.top_logprobs or ())


@pytest.mark.parametrize("model", ["vectors", "fake", "program", "upstream"])
def test_embeddings(ai: openai.OpenAI, model: str) -> None:
    told = ai.embeddings.create(model=model, input=["a ship", "a fleet"], encoding_format="float")
    assert [row.index for row in told.data] == [0, 1]
    assert told.data[0].embedding != told.data[1].embedding


def test_more_inputs_than_llama_cpp_is_sent_at_once_come_back_in_order(lenient: openai.OpenAI) -> None:
    texts = [f"text {index}" for index in range(70)]
    whole = lenient.embeddings.create(model="vectors", input=texts)  # in base64, as this client asks by itself
    assert [row.index for row in whole.data] == list(range(70))
    (last,) = lenient.embeddings.create(model="vectors", input=texts[-1], encoding_format="float").data
    assert whole.data[-1].embedding == pytest.approx(last.embedding, abs=1e-4)
    assert whole.usage.prompt_tokens > 70


def test_tokens_are_taken_for_texts_by_llama_cpp(lenient: openai.OpenAI) -> None:
    told = lenient.embeddings.create(model="vectors", input=[[1, 2, 3], [4, 5]])
    (alone,) = lenient.embeddings.create(model="vectors", input=[4, 5]).data
    assert told.data[1].embedding == pytest.approx(alone.embedding, abs=1e-4)
    said = lenient.completions.create(model="smollm2", prompt=[[1, 2, 3], [4, 5]], max_tokens=2)
    assert len(said.choices) == 2


@pytest.mark.parametrize(("model", "length"), [("smollm2", 512), ("vectors", 64), ("fake", 4096)])
def test_a_prompt_is_measured_against_its_models_context(ai: openai.OpenAI, model: str, length: int) -> None:
    prompts = [{"model": model, "prompt": "a short text", "max_tokens": most} for most in (1, length)]
    told: Any = ai.post(
        str(ai.base_url).replace("/v1/", "/api/v1/token_check"), body={"prompts": prompts}, cast_to=object
    )
    first, second = told["prompts"]
    assert first == {"fits": True, "tokenCount": first["tokenCount"], "contextLength": length}
    assert 2 < first["tokenCount"] < 10
    assert not second["fits"]


def test_an_input_that_is_too_long_for_llama_cpp_names_the_field(ai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as told:
        ai.embeddings.create(model="vectors", input="word " * 200)
    assert (told.value.param, told.value.code) == ("input", "context_length_exceeded")


def test_what_an_engine_overlooks_is_refused_by_name(ai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as told:
        ai.completions.create(model="smollm2", prompt="One", suffix="three")
    assert told.value.param == "suffix"
    assert "llama.cpp" in told.value.message


def test_llama_cpp_speaks_responses_too(lenient: openai.OpenAI) -> None:
    """In its own way: it leaves fields out that the client's type wants."""
    told = lenient.responses.create(model="smollm2", input="Name a colour.", max_output_tokens=16)
    assert told.usage is not None
    assert told.usage.output_tokens
    with pytest.raises(openai.NotFoundError, match=r"vectors \(llama\.cpp\) serves .*: smollm2 \(llama\.cpp\) does"):
        lenient.responses.create(model="vectors", input="Name a colour.")
