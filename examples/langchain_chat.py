"""A stream, a bound answer, a tool and embeddings by LangChain: pip install langchain-openai; python langchain_chat.py

ARGOSY_URL and ARGOSY_API_KEY say where and with which key, ARGOSY_MODEL and ARGOSY_EMBEDDER which deployments.
"""

from __future__ import annotations

import os

from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field

DOOR = {
    "base_url": os.environ.get("ARGOSY_URL", "http://127.0.0.1:8000/v1"),
    "api_key": os.environ.get("ARGOSY_API_KEY", "none needed on loopback"),
}


class Capital(BaseModel):
    """A country and its capital."""

    country: str
    capital: str


class GetWeather(BaseModel):
    """The weather in a city."""

    city: str = Field(description="Its name")


def main() -> None:
    chat = ChatOpenAI(**DOOR, model=os.environ.get("ARGOSY_MODEL", "qwen"), temperature=0, max_tokens=200)

    for piece in chat.stream("Write one sentence about ships."):
        print(piece.text, end="", flush=True)
    print()

    # The engine is bound to the schema: what comes is always one.
    print(chat.with_structured_output(Capital, method="json_schema").invoke("The capital of France."))

    # "any": it must call one of the tools, whatever it would have said.
    [call] = chat.bind_tools([GetWeather], tool_choice="any").invoke("How is the weather in Paris?").tool_calls
    print(call["name"], call["args"])

    # Texts go as they are; LangChain would count tokens for OpenAI's own models.
    if embedder := os.environ.get("ARGOSY_EMBEDDER"):
        vectors = OpenAIEmbeddings(**DOOR, model=embedder, check_embedding_ctx_length=False)
        print(len(vectors.embed_query("ships")), "numbers")


if __name__ == "__main__":
    main()
