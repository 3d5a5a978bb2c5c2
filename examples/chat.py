"""A streamed chat through the official client: pip install openai; python chat.py "Why is the sky blue?"

ARGOSY_URL and ARGOSY_API_KEY say where and with which key; without them, the demonstration fleet of `make up`.
"""

from __future__ import annotations

import os
import sys

from openai import OpenAI


def main() -> None:
    question = " ".join(sys.argv[1:]) or "Write one sentence about ships."
    client = OpenAI(
        base_url=os.environ.get("ARGOSY_URL", "http://127.0.0.1:8000/v1"),
        api_key=os.environ.get("ARGOSY_API_KEY", "none needed on loopback"),
    )
    with client:
        model = os.environ.get("ARGOSY_MODEL") or client.models.list().data[0].id
        messages = [{"role": "user", "content": question}]
        for chunk in client.chat.completions.create(model=model, messages=messages, stream=True):
            if chunk.choices and (piece := chunk.choices[0].delta.content):
                print(piece, end="", flush=True)
    print()


if __name__ == "__main__":
    main()
