"""An AutoGen agent with a tool: pip install autogen-agentchat 'autogen-ext[openai]'; python autogen_agent.py

ARGOSY_URL and ARGOSY_API_KEY say where and with which key, ARGOSY_MODEL which deployment.
"""

from __future__ import annotations

import asyncio
import os

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import ModelClientStreamingChunkEvent
from autogen_ext.models.openai import OpenAIChatCompletionClient


async def main() -> None:
    client = OpenAIChatCompletionClient(
        model=os.environ.get("ARGOSY_MODEL", "qwen"),
        base_url=os.environ.get("ARGOSY_URL", "http://127.0.0.1:8000/v1"),
        api_key=os.environ.get("ARGOSY_API_KEY", "none needed on loopback"),
        # What a model can do, AutoGen knows of OpenAI's own models alone.
        model_info={
            "vision": False,
            "function_calling": True,
            "json_output": True,
            "structured_output": True,
            "family": "unknown",
        },
        temperature=0,
        max_tokens=200,
    )
    agent = AssistantAgent("sailor", client, system_message="Answer in one sentence.", model_client_stream=True)
    async for event in agent.run_stream(task="What is an argosy?"):
        if isinstance(event, ModelClientStreamingChunkEvent):
            print(event.content, end="", flush=True)
    print()
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
