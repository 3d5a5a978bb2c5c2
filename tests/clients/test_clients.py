"""What each client does beyond a plain chat: streams that end early, tools, bound answers, embeddings, errors."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import instructor
import litellm
import openai
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import UserMessage
from autogen_core.tools import FunctionTool as AutoGenTool
from autogen_ext.models.openai import OpenAIChatCompletionClient
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

PARIS = "How is the weather in Paris? Use the tool."
SHIPS = [{"role": "user", "content": "Write one sentence about ships."}]
CAPITAL = [{"role": "user", "content": "The capital of France."}]


class Capital(BaseModel):
    country: str
    capital: str


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"It rains in {city}."


TOOL = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class TestLangChain:
    def chat(self, door: str) -> ChatOpenAI:
        return ChatOpenAI(base_url=door, api_key="none", model="qwen", temperature=0, max_tokens=200, max_retries=0)

    def test_streams_with_usage(self, door: str) -> None:
        pieces = list(self.chat(door).stream("Write one sentence about ships.", stream_usage=True))
        assert len(pieces) > 5
        whole = pieces[0]
        for piece in pieces[1:]:
            whole += piece
        assert whole.usage_metadata["output_tokens"] > 5

    @pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
    def test_structured_output(self, door: str, method: str) -> None:
        asked = "The capital of France, as JSON with country and capital."
        assert self.chat(door).with_structured_output(Capital, method=method).invoke(asked).capital == "Paris"

    def test_tools_and_their_results(self, door: str) -> None:
        chat = self.chat(door).bind_tools([get_weather], tool_choice="any")
        called = chat.invoke(PARIS)
        assert called.tool_calls[0]["args"] == {"city": "Paris"}
        result = {"role": "tool", "tool_call_id": called.tool_calls[0]["id"], "content": "It rains."}
        assert self.chat(door).invoke([("user", PARIS), called, result]).text

    def test_embeddings(self, door: str) -> None:
        vectors = OpenAIEmbeddings(base_url=door, api_key="none", model="embedder", check_embedding_ctx_length=False)
        assert {len(each) for each in vectors.embed_documents(["ships", "a fleet of ships"])} == {576}

    def test_embeddings_of_token_ids_are_taken(self, door: str) -> None:
        """As LangChain sends them by default: its client without its tokenizer, which it would fetch from OpenAI."""
        client = OpenAIEmbeddings(base_url=door, api_key="none", model="embedder").client
        told = client.create(model="embedder", input=[[9707, 1879], [11]])
        assert [len(each.embedding) for each in told.data] == [576, 576]


class TestAutoGen:
    def client(self, door: str) -> OpenAIChatCompletionClient:
        can = {"vision": False, "function_calling": True, "json_output": True, "structured_output": True}
        return OpenAIChatCompletionClient(
            model="qwen",
            base_url=door,
            api_key="none",
            model_info={**can, "family": "unknown"},
            temperature=0,
            max_tokens=200,
        )

    async def test_an_agent_streams(self, door: str) -> None:
        client = self.client(door)
        agent = AssistantAgent("sailor", client, model_client_stream=True)
        events = [event async for event in agent.run_stream(task="What is an argosy?")]
        assert len(events) > 5
        assert events[-1].messages[-1].content
        await client.close()

    async def test_a_forced_tool_is_called(self, door: str) -> None:
        client = self.client(door)
        tool = AutoGenTool(get_weather, description="The weather in a city.")
        told = await client.create([UserMessage(content=PARIS, source="user")], tools=[tool], tool_choice="required")
        assert json.loads(told.content[0].arguments) == {"city": "Paris"}
        await client.close()


class TestLlamaIndex:
    def model(self, door: str) -> OpenAILike:
        return OpenAILike(
            model="qwen",
            api_base=door,
            api_key="none",
            is_chat_model=True,
            is_function_calling_model=True,
            context_window=4096,
            max_tokens=200,
            temperature=0,
            max_retries=0,
        )

    def test_chat_and_stream(self, door: str) -> None:
        messages = [ChatMessage(role="user", content="Write one sentence about ships.")]
        assert self.model(door).chat(messages).message.content
        assert len(list(self.model(door).stream_chat(messages))) > 5

    def test_a_forced_tool_is_called(self, door: str) -> None:
        model, tool = self.model(door), FunctionTool.from_defaults(get_weather)
        told = model.chat_with_tools([tool], user_msg=PARIS, tool_required=True)
        [call] = model.get_tool_calls_from_response(told)
        assert (call.tool_name, call.tool_kwargs) == ("get_weather", {"city": "Paris"})


@pytest.mark.parametrize("mode", [instructor.Mode.JSON_SCHEMA, instructor.Mode.TOOLS, instructor.Mode.JSON])
def test_instructor_makes_objects(door: str, mode: instructor.Mode) -> None:
    with openai.OpenAI(base_url=door, api_key="none") as client:
        create = instructor.from_openai(client, mode=mode).chat.completions.create
        assert create(model="qwen", response_model=Capital, messages=CAPITAL, max_retries=0).capital == "Paris"


class TestLiteLlm:
    def ask(self, door: str, **more: Any) -> Any:
        return litellm.completion(model="openai/qwen", api_base=door, api_key="none", temperature=0, **more)

    def test_chat_and_stream(self, door: str) -> None:
        assert self.ask(door, messages=SHIPS).usage.completion_tokens > 5
        assert len(list(self.ask(door, messages=SHIPS, stream=True))) > 5

    def test_a_forced_tool_is_called(self, door: str) -> None:
        asked = [{"role": "user", "content": PARIS}]
        told = self.ask(door, messages=asked, tools=[{"type": "function", "function": TOOL}], tool_choice="required")
        assert json.loads(told.choices[0].message.tool_calls[0].function.arguments) == {"city": "Paris"}

    def test_embeddings(self, door: str) -> None:
        told = litellm.embedding(model="openai/embedder", api_base=door, api_key="none", input=["ships", "a fleet"])
        assert {len(each["embedding"]) for each in told.data} == {576}

    def test_an_unknown_model_is_its_own_error(self, door: str) -> None:
        with pytest.raises(litellm.NotFoundError):
            litellm.completion(model="openai/nobody", api_base=door, api_key="none", messages=SHIPS, max_retries=0)


class TestAnthropic:
    @pytest.fixture
    def client(self, door: str) -> Any:
        with anthropic.Anthropic(base_url=door.removesuffix("/v1"), api_key="none", max_retries=0) as client:
            yield client

    def test_messages_and_stream(self, client: anthropic.Anthropic) -> None:
        told = client.messages.create(model="qwen", max_tokens=100, system="Be short.", messages=SHIPS)
        assert told.content[0].text
        assert told.usage.output_tokens > 1
        with client.messages.stream(model="qwen", max_tokens=100, messages=SHIPS) as stream:
            assert len(list(stream.text_stream)) > 5
            assert stream.get_final_message().stop_reason == "end_turn"

    def test_tokens_are_counted(self, client: anthropic.Anthropic) -> None:
        assert client.messages.count_tokens(model="qwen", messages=SHIPS).input_tokens > 5

    def test_a_tools_result_is_read(self, client: anthropic.Anthropic) -> None:
        call = {"type": "tool_use", "id": "toolu_1", "name": TOOL["name"], "input": {"city": "Paris"}}
        asked = [{"role": "user", "content": PARIS}, {"role": "assistant", "content": [call]}]

        def with_result(text: str) -> list[dict[str, Any]]:
            result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": text}
            return [*asked, {"role": "user", "content": [result]}]

        short, long = (
            client.messages.count_tokens(model="qwen", messages=with_result(text)).input_tokens
            for text in ("It rains.", "It rains. " * 20)
        )
        assert long > short + 40
        told = client.messages.create(model="qwen", max_tokens=100, messages=with_result("It rains."))
        assert told.content[0].text

    def test_a_streamed_call_is_put_together(self, client: anthropic.Anthropic) -> None:
        """`caller`: its template lets so small a model call by itself; /v1/messages of llama.cpp can force nothing."""
        tool = {"name": TOOL["name"], "description": TOOL["description"], "input_schema": TOOL["parameters"]}
        asked = [{"role": "user", "content": PARIS}]
        given = {"model": "caller", "max_tokens": 99, "tools": [tool], "messages": asked}
        given["extra_body"] = {"temperature": 0}  # the SDK has no such argument any more
        with client.messages.stream(**given) as stream:
            pieces = [event.partial_json for event in stream if event.type == "input_json"]
            message = stream.get_final_message()
        assert len(pieces) > 2
        assert message.stop_reason == "tool_use"
        [call] = message.content
        assert (call.type, call.name, call.input) == ("tool_use", "get_weather", {"city": "Paris"})
        plain = client.messages.create(**given)
        assert [each.input for each in plain.content if each.type == "tool_use"] == [{"city": "Paris"}]

    def test_a_forced_call_is_refused_as_the_engine_would_overlook_it(self, client: anthropic.Anthropic) -> None:
        tool = {"name": TOOL["name"], "description": TOOL["description"], "input_schema": TOOL["parameters"]}
        asked = [{"role": "user", "content": PARIS}]
        with pytest.raises(anthropic.BadRequestError, match="tool_choice"):
            client.messages.create(
                model="qwen", max_tokens=99, messages=asked, tools=[tool], tool_choice={"type": "any"}
            )
