"""The paths that a client may ask of a model, and the surface that each belongs to. Nothing else is passed on."""

from __future__ import annotations

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"  # Anthropic's: https://docs.claude.com/en/api/messages
COUNT_TOKENS = "/v1/messages/count_tokens"
RERANK = "/v1/rerank"  # as at Jina, vLLM and llama.cpp
TOKENIZE = "/tokenize"  # the engine's own: llama.cpp wants `content`, vLLM `prompt` or `messages`
DETOKENIZE = "/detokenize"

COMMON = (CHAT, COMPLETIONS, EMBEDDINGS)  # what every server that speaks the OpenAI wire is taken to have
# Of an engine that has all surfaces:
GENERATING = (CHAT, COMPLETIONS, RESPONSES, MESSAGES, COUNT_TOKENS, TOKENIZE, DETOKENIZE)
EMBEDDING = (EMBEDDINGS, TOKENIZE, DETOKENIZE)
STREAMED = (CHAT, COMPLETIONS, RESPONSES, MESSAGES)  # answer in pieces where a request wants it
ENDPOINTS = (*COMMON, RESPONSES, MESSAGES, COUNT_TOKENS, RERANK, TOKENIZE, DETOKENIZE)
