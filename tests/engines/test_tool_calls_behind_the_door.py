"""Forced tool calls and bound answers of real models on llama.cpp, through OpenAI's own client at its strictest.

What a model calls with is checked by the types that the tools' schemas were made of.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
from behind import behind_the_door
from contract import NAME
from pydantic import BaseModel, Field, ValidationError

pytestmark = pytest.mark.model


class Weather(BaseModel):
    """The weather in a city."""

    city: str = Field(max_length=24)
    unit: Literal["celsius", "fahrenheit"]


class Add(BaseModel):
    """Adds two integers."""

    a: int
    b: int


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Pen(BaseModel):
    colour: Colour
    length_mm: int


class Draw(BaseModel):
    """Draws a line with one of two pens."""

    pens: list[Pen] = Field(min_length=1, max_length=2)  # by reference: `$defs` of the tool's own schema
    dashed: bool


class Now(BaseModel):
    """The time now. Takes nothing."""


KINDS: dict[str, type[BaseModel]] = {"get_weather": Weather, "add": Add, "draw_line": Draw, "now": Now}
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {"name": name, "description": kind.__doc__, "parameters": kind.model_json_schema()},
    }
    for name, kind in KINDS.items()
]
QUESTIONS = (
    "How warm is it in Paris?",
    "What is 17 plus 25?",
    "Draw a dashed red line of 30 millimetres.",
    "What time is it?",
    "你好，北京今天天气怎么样？",
)
PEN = [{"role": "user", "content": "Name a pen."}]


def named(name: str) -> Any:
    return {"type": "function", "function": {"name": name}}


def asked(count: int) -> Sequence[tuple[str, Any, bool]]:
    """Questions, choices and whether to stream, each with each, until there are so many."""
    choices = ("required", named("add"), named("get_weather"), named("draw_line"))
    every = [(ask, choice, streamed) for streamed in (False, True) for choice in choices for ask in QUESTIONS]
    # Neighbours in the list have little in common.
    return list(itertools.islice((every[at * 7 % len(every)] for at in range(len(every))), count))


@asynccontextmanager
async def client_of(model: Path, folder: Path) -> AsyncIterator[openai.AsyncOpenAI]:
    async with (
        behind_the_door(model, folder) as behind,
        openai.AsyncOpenAI(
            base_url=f"{behind.door.url}/v1", api_key="none", max_retries=0, _strict_response_validation=True
        ) as client,
    ):
        yield client


@pytest.fixture
async def ai(smollm2: Path, tmp_path: Path) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(smollm2, tmp_path) as client:
        yield client


async def said(ai: openai.AsyncOpenAI, bound_to: Any, *, streamed: bool, messages: Any = PEN) -> str:
    body: Any = {"model": NAME, "messages": messages, "response_format": bound_to, "max_tokens": 128, "temperature": 0}
    if not streamed:
        return (await ai.chat.completions.create(**body)).choices[0].message.content or ""
    stream = await ai.chat.completions.create(**body, stream=True)
    return "".join([each.delta.content or "" async for chunk in stream for each in chunk.choices])


@dataclass
class Called:
    """One choice's answer, streamed or not."""

    name: str = ""
    arguments: str = ""
    ids: list[str] = field(default_factory=list)
    content: str | None = None
    finish_reason: str = ""


async def called(ai: openai.AsyncOpenAI, ask: str, choice: Any, *, streamed: bool, **more: Any) -> dict[int, Called]:
    """By the choice's index."""
    body: Any = {
        **{"model": NAME, "messages": [{"role": "user", "content": ask}], "tools": TOOLS, "tool_choice": choice},
        **{"max_tokens": 256, "temperature": 0, **more},
    }
    answers: defaultdict[int, Called] = defaultdict(Called)
    if not streamed:
        for each in (await ai.chat.completions.create(**body)).choices:
            (call,) = each.message.tool_calls or ()
            assert call.type == "function"
            answers[each.index] = Called(
                call.function.name, call.function.arguments, [call.id], each.message.content, each.finish_reason
            )
        return answers
    async for chunk in await ai.chat.completions.create(**body, stream=True):
        for each in chunk.choices:
            answer = answers[each.index]
            answer.finish_reason += each.finish_reason or ""
            if each.delta.content is not None:
                answer.content = (answer.content or "") + each.delta.content
            for part in each.delta.tool_calls or ():
                assert part.index == 0
                assert part.function is not None
                answer.ids += [part.id] if part.id is not None else []
                answer.name += part.function.name or ""
                answer.arguments += part.function.arguments or ""
    return answers


def check(answer: Called, choice: Any) -> None:
    """Valid: one function of those asked for, with arguments of its schema, and nothing beside."""
    assert answer.name in (KINDS if choice == "required" else (choice["function"]["name"],))
    KINDS[answer.name].model_validate_json(answer.arguments)
    assert (len(answer.ids), answer.content) == (1, None)
    assert answer.finish_reason == ("tool_calls" if choice == "required" else "stop")


async def test_a_small_model_that_knows_no_tools_makes_valid_calls(ai: openai.AsyncOpenAI) -> None:
    for ask, choice, streamed in asked(8):
        (answer,) = (await called(ai, ask, choice, streamed=streamed)).values()
        check(answer, choice)


async def test_a_model_that_knows_tools_makes_twenty_valid_calls_of_twenty(qwen05: Path, tmp_path: Path) -> None:
    async with client_of(qwen05, tmp_path) as ai:
        for ask, choice, streamed in asked(20):
            (answer,) = (await called(ai, ask, choice, streamed=streamed)).values()
            check(answer, choice)
        (answer,) = (await called(ai, "What is 17 plus 25?", "required", streamed=False)).values()
        assert (answer.name, Add.model_validate_json(answer.arguments)) == ("add", Add(a=17, b=25))


@pytest.mark.parametrize("streamed", [False, True])
async def test_every_choice_has_a_call_of_its_own(ai: openai.AsyncOpenAI, streamed: bool) -> None:
    answers = await called(ai, "What is 1 plus 2?", named("add"), streamed=streamed, n=2)
    assert sorted(answers) == [0, 1]
    for answer in answers.values():
        check(answer, named("add"))
    assert len({answer.ids[0] for answer in answers.values()}) == 2


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_that_is_cut_is_told_as_far_as_it_came(ai: openai.AsyncOpenAI, streamed: bool) -> None:
    answer = (await called(ai, "What is 1 plus 2?", named("add"), streamed=streamed, max_tokens=30))[0]
    assert (answer.name, answer.finish_reason, answer.content) == ("add", "length", None)
    assert answer.arguments.startswith("{")
    with pytest.raises(ValidationError):
        Add.model_validate_json(answer.arguments)


async def test_a_stop_text_does_not_cut_a_call(ai: openai.AsyncOpenAI) -> None:
    answers = await called(ai, "What is 1 plus 2?", named("add"), streamed=False, stop=['"b"', "name"])
    check(answers[0], named("add"))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"type": "object", "properties": {"x": {"type": "texture"}}}, r"'bad': at properties/x: unrecognized type"),
        ({"type": "object", "properties": {"x": {"$ref": "#/$defs/X"}}}, r"'bad': at properties/x: cannot resolve"),
        ({"type": "string"}, "'bad': type must be \"object\""),
    ],
)
async def test_a_schema_that_cannot_be_bound_to_is_refused_by_its_tools_name(
    ai: openai.AsyncOpenAI, streamed: bool, schema: Any, fault: str
) -> None:
    tools: Any = [*TOOLS, {"type": "function", "function": {"name": "bad", "parameters": schema}}]
    with pytest.raises(openai.BadRequestError, match=fault) as told:
        await ai.chat.completions.create(
            model=NAME,
            messages=[{"role": "user", "content": "hi"}],
            tools=tools,
            tool_choice="required",
            stream=streamed,
        )
    assert (told.value.param, told.value.code) == (
        f"tools[{len(TOOLS)}].function.parameters",
        "invalid_function_parameters",
    )


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_is_of_the_schema_that_was_asked_for(ai: openai.AsyncOpenAI, streamed: bool) -> None:
    schema = {"name": "pen", "strict": True, "description": "a pen", "schema": Pen.model_json_schema()}
    Pen.model_validate_json(await said(ai, {"type": "json_schema", "json_schema": schema}, streamed=streamed))


async def test_llama_cpp_heeds_of_schemas_what_the_documentation_says(
    ai: openai.AsyncOpenAI, subtests: pytest.Subtests
) -> None:
    """By schemas that a model would not keep to by chance: docs/guide/tools.md."""
    values: dict[str, tuple[Any, Callable[[Any], bool]]] = {
        "prefixItems": ({"type": "array", "prefixItems": [{"const": "zz"}, {"const": 7}]}, ["zz", 7].__eq__),
        "bounds": ({"type": "integer", "exclusiveMinimum": 41, "maximum": 42}, (42).__eq__),
        "format": ({"type": "string", "format": "date"}, lambda told: bool(re.fullmatch(r"\d{4}-\d\d-\d\d", told))),
        "pattern": ({"type": "string", "pattern": "^zq[0-9]{2}$"}, lambda told: bool(re.fullmatch(r"zq\d\d", told))),
        "allOf": ({"allOf": [fixed(a=1), fixed(b=2)]}, {"a": 1, "b": 2}.__eq__),
        "lengths": ({"type": "string", "minLength": 2, "maxLength": 3}, lambda told: len(told) in (2, 3)),
    }
    for keyword, (schema, kept) in values.items():
        with subtests.test(keyword):
            whole = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
            text = await said(
                ai, {"type": "json_schema", "json_schema": {"name": "x", "schema": whole}}, streamed=False
            )
            assert kept(json.loads(text)["x"]), text


def fixed(**values: Any) -> Any:
    return {"type": "object", "properties": {n: {"const": value} for n, value in values.items()}, "required": [*values]}


@pytest.mark.parametrize("streamed", [False, True])
async def test_json_object_is_an_object(ai: openai.AsyncOpenAI, streamed: bool) -> None:
    shown = [("One.", '{"n": 1}'), ("Two.", '{"n": 2}'), ("Three.", '{"n": 3}')]  # else smollm2 finds no end
    turns = [turn for ask, told in shown for turn in (("user", ask), ("assistant", told))]
    messages = [{"role": role, "content": text} for role, text in [*turns, ("user", "Say a number.")]]
    assert isinstance(json.loads(await said(ai, {"type": "json_object"}, streamed=streamed, messages=messages)), dict)
