"""One fleet, three engines, each in an environment of its own, behind one door."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from heavy import ENVIRONMENT, python_of

import models
from argosy.engines import transformers, vllm
from argosy.environments.cache import key_of
from command import Argosy, gone
from waiting import until

_START_SECONDS = 300.0


def test_llama_cpp_vllm_and_transformers_answer_side_by_side(argosy: Argosy, smollm2: Path) -> None:
    python_of(vllm.CPU_ENVIRONMENT)
    folder = models.smollm2_folder(smollm2, python_of(transformers.ENVIRONMENT))
    argosy.variables = {"ARGOSY_CACHE": str(ENVIRONMENT.cache)}
    deployments: dict[str, Any] = {
        "llama": {"source": str(smollm2), "options": {"context": 512, "slots": 2}},
        "vllm": {
            "source": str(folder),
            "engine": "vllm",
            "aliases": ["gpt-4"],
            "defaults": {"max_tokens": 8},
            "options": {"max_model_len": 512, "dtype": "bfloat16", "cpu_cache_gib": 1},
        },
        "minilm": {"source": str(models.minilm()), "task": "embed"},
    }
    argosy.file(yaml.safe_dump({"gateway": {"port": 0}, "deployments": deployments}))
    with argosy.attached("up"):
        until(lambda: "is ready" in argosy.output("up"), seconds=_START_SECONDS)
        report = argosy.ps()
        told = {each["name"]: (each["engine"], each["ready"]) for each in report["deployments"]}
        assert told == {"llama": ("llama.cpp", 1), "vllm": ("vllm", 1), "minilm": ("transformers", 1)}

        def ask(path: str, **body: Any) -> Any:
            request = urllib.request.Request(
                f"{report['gateways'][0]['address']}{path}",
                json.dumps(body).encode(),
                {"content-type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)

        for model in ("llama", "vllm", "gpt-4"):
            answer = ask("/v1/chat/completions", model=model, messages=[{"role": "user", "content": "Say hello."}])
            assert answer["choices"][0]["message"]["content"]
            assert answer["usage"]["completion_tokens"] > 0
        assert len(ask("/v1/embeddings", model="minilm", input="a ship")["data"][0]["embedding"]) == 384

        used = {each["key"]: each["used_by"] for each in json.loads(argosy.run("env", "ls", "--json").stdout)}
        assert used[key_of(vllm.CPU_ENVIRONMENT)] == ["fleet/vllm"]
        assert used[key_of(transformers.ENVIRONMENT)] == ["fleet/minilm"]
        everything = argosy.everything()
        argosy.run("down")
    assert gone(everything)
