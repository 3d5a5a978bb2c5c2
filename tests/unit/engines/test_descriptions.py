"""Engines as the worker reads them: command lines, capabilities, options; nothing is started."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from argosy.config.schema import Deployment
from argosy.engines import catalog
from argosy.engines.base import KEY_VARIABLE, EngineContext, write_address
from argosy.protocol.endpoints import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    DETOKENIZE,
    EMBEDDINGS,
    MESSAGES,
    RERANK,
    RESPONSES,
    TOKENIZE,
)
from weights import gguf

RUNNABLE = [name for name in catalog.NAMES if name != "remote"]


def context(deployment: Deployment, path: Path | None = None) -> EngineContext:
    return EngineContext("org/m", deployment, path, "secret", 4711, Path("/somewhere/address"))


@pytest.mark.parametrize("name", RUNNABLE)
def test_every_engine_refuses_an_option_it_does_not_know_and_explains_those_it_has(name: str) -> None:
    options = catalog.engine(name).options
    with pytest.raises(ValidationError, match="optoin"):
        options.model_validate({"optoin": 1})
    assert all(field.description for field in options.model_fields.values())
    assert catalog.engine(name).name == name


def test_a_command_is_filled_in_and_other_braces_stay() -> None:
    words = ("serve", "{path}", "--port={port}", "--name", "{name}", '{"a": 1}')
    deployment = Deployment(source="x.bin", command=words)
    launch = catalog.engine("command").launch(context(deployment, Path("/models/x.bin")))
    assert launch.argv == ("serve", "/models/x.bin", "--port=4711", "--name", "org/m", '{"a": 1}')


def test_a_command_is_told_where_its_chat_template_lies() -> None:
    deployment = Deployment(command=("serve", "--template={chat_template}"), chat_template="{{ messages }}")
    launch = catalog.engine("command").launch(replace(context(deployment), chat_template=Path("/r/chat.jinja")))
    assert launch.argv == ("serve", "--template=/r/chat.jinja")


def test_a_commands_slots_are_its_concurrency() -> None:
    command = catalog.engine("command")
    assert command.capabilities(Deployment(command=("x",))).slots == 8
    capabilities = command.capabilities(Deployment(command=("x",), concurrency=3))
    assert (capabilities.slots, set(capabilities.paths)) == (3, {CHAT, COMPLETIONS, EMBEDDINGS})


def test_llama_cpp_shares_the_cores_between_replicas_and_keeps_the_key_out_of_its_command_line(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(16))

    def config(**fields: Any) -> dict[str, Any]:
        deployment = Deployment(source=str(model), **fields)
        launch = catalog.engine("llama.cpp").launch(context(deployment, model))
        assert "secret" not in " ".join(launch.argv)
        assert launch.env == {KEY_VARIABLE: "secret", "OMP_WAIT_POLICY": "passive"}
        read: dict[str, Any] = json.loads(launch.argv[-1])
        return read

    assert config(replicas=1000)["threads"] == 1
    assert config(options={"threads": 3})["threads"] == 3
    assert (config()["context"], config()["slots"], config()["pooling"]) == (4096, 4, None)
    assert config(task="embed")["pooling"] == "mean"


def test_the_task_decides_what_llama_cpp_serves() -> None:
    llama = catalog.engine("llama.cpp")
    generates = set(llama.capabilities(Deployment(source="m.gguf")).paths)
    embeds = set(llama.capabilities(Deployment(source="m.gguf", task="embed")).paths)
    assert generates == {CHAT, COMPLETIONS, RESPONSES, MESSAGES, COUNT_TOKENS, TOKENIZE, DETOKENIZE}
    assert embeds == {EMBEDDINGS, TOKENIZE, DETOKENIZE}


def test_llama_cpp_takes_images_where_it_is_given_a_projector() -> None:
    llama = catalog.engine("llama.cpp")
    assert llama.capabilities(Deployment(source="m.gguf")).traits.sees is False
    with_one = Deployment(source="m.gguf", options={"projector": "/models/mmproj.gguf"})
    assert llama.capabilities(with_one).traits.sees is True
    assert llama.companions(with_one) == {"projector": "/models/mmproj.gguf"}


def test_llama_cpp_needs_memory_for_what_goes_with_its_model_too(tmp_path: Path) -> None:
    llama = {"llama__block_count": 2, "llama__embedding_length": 64, "llama__attention__head_count": 4}
    model, draft, projector = (
        gguf(tmp_path / f"{name}.gguf", general__architecture="llama", **llama) for name in ("m", "draft", "projector")
    )
    engine = catalog.engine("llama.cpp")
    plain = context(Deployment(source=str(model)), model)
    alone = engine.memory(plain, on_gpu=False)
    both = engine.memory(replace(plain, companions={"draft_model": draft, "projector": projector}), on_gpu=False)
    assert alone is not None
    assert both is not None
    assert both.weights_bytes == 3 * alone.weights_bytes
    assert both.cache_bytes == 2 * alone.cache_bytes == 2 * 4096 * 4 * 2 * 2 * 64 * 2
    other = gguf(tmp_path / "other.gguf", general__architecture="mamba", mamba__ssm__state_size=16)
    unknown = engine.memory(context(Deployment(source=str(other)), other), on_gpu=False)
    assert unknown is not None
    assert str(unknown).endswith("its cache is not counted: the file's header does not tell its size)")


def test_a_program_of_yours_serves_what_the_fleet_file_says() -> None:
    command = catalog.engine("command")
    assert command.capabilities(Deployment(command=("x",))).paths == (CHAT, COMPLETIONS, EMBEDDINGS)
    assert command.capabilities(Deployment(command=("x",), paths=(CHAT, RERANK))).paths == (CHAT, RERANK)


def test_where_an_engine_listens_is_nobody_elses_to_read(tmp_path: Path) -> None:
    write_address(tmp_path / "address", "http://127.0.0.1:1")
    assert (tmp_path / "address").read_text() == "http://127.0.0.1:1"
    assert (tmp_path / "address").stat().st_mode & 0o777 == 0o600
