"""LangChain's standard cases for chat models, through the door, with a small model that knows tools on llama.cpp.

Not among the default tests: `make test-clients` runs them in an environment of their own (docs/guide/tools.md has the
result). Cases that fail are named here, each with its reason.
"""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

VERSIONS = [{}, {"output_version": "v1"}]  # of LangChain's own messages: it runs some cases with each


class TestChatOpenAI(ChatModelIntegrationTests):
    supports_json_mode = True

    @pytest.fixture(autouse=True)
    def url(self, door: str) -> None:
        self._url = door

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        limits = {"max_tokens": 256, "temperature": 0, "max_retries": 0, "timeout": 300}
        return {"model": "qwen", "base_url": self._url, "api_key": "none", "stream_usage": True, **limits}

    @pytest.mark.xfail(
        reason="the model writes a call that nothing forces into a fence of Markdown, not where it can tell"
    )
    @pytest.mark.parametrize("model", VERSIONS, indirect=True)
    def test_agent_loop(self, model: BaseChatModel) -> None:
        super().test_agent_loop(model)

    @pytest.mark.xfail(reason="the model finds no end of its joke in 256 tokens")
    def test_structured_output_optional_param(self, model: BaseChatModel) -> None:
        super().test_structured_output_optional_param(model)
