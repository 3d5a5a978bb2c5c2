"""LangChain's standard cases for chat models, through the door, with a small model that knows tools on llama.cpp.

Not among the default tests: `make test-clients` runs them in an environment of their own (docs/guide/tools.md has the
result). Cases that fail are named here, each with its reason.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

from argosy.config.environment import Environment
from argosy.models.resolve import resolve
from command import Argosy

MODEL = "qwen2.5-coder:0.5b"
VERSIONS = [{}, {"output_version": "v1"}]  # of LangChain's own messages: it runs some cases with each


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a fleet with the model, which is fetched once (491 MB) where ARGOSY_TEST_MODELS does not have it."""
    given = os.environ.get("ARGOSY_TEST_MODELS")
    cache = Path(given) if given else Environment.read(os.environ).cache
    model = resolve(MODEL, cache=cache, progress=lambda _: None, cancelled=threading.Event(), variables=os.environ)
    folder = tmp_path_factory.mktemp("langchain")
    argosy = Argosy(folder / "home", folder)
    fleet = f"""
gateway: {{port: 0}}
deployments:
  qwen: {{source: {model}, options: {{context: 4096, slots: 1, threads: 1}}}}
"""
    try:
        argosy.run("up", "-d", argosy.file(fleet))
        yield argosy.ps()["gateways"][0]["address"] + "/v1"
    finally:
        argosy.run("down")
        argosy.end()


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
