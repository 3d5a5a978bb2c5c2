"""How the fields of a deployment become command lines of vLLM, SGLang and transformers. Nothing is started."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from argosy.config.schema import Deployment
from argosy.engines import catalog
from argosy.engines.base import KEY_VARIABLE, EngineContext, Launch
from argosy.engines.llamacpp_server import free_margins
from argosy.errors import EngineError
from argosy.protocol.replica import AssignedDevice

ENVIRONMENT = Path("/env/bin/python")
ENGINES = Path(__file__).parents[3] / "src" / "argosy" / "engines"


def gpu(index: int, share: float = 0.5) -> AssignedDevice:
    return AssignedDevice(index=index, uuid=f"GPU-{index}", memory_bytes=1000, budget_bytes=int(1000 * share))


def launch(
    engine: str,
    options: Mapping[str, Any] | None = None,
    devices: tuple[AssignedDevice, ...] = (),
    companions: Mapping[str, Path] | None = None,
    **fields: Any,
) -> Launch:
    deployment = Deployment(source="/models/m", engine=engine, options=dict(options or {}), **fields)
    context = EngineContext(
        *("org/m", deployment, Path("/models/m"), "secret", 4711, Path("/run/address")),
        devices=devices,
        python=ENVIRONMENT,
        companions=companions or {},
    )
    made = catalog.engine(engine).launch(context)
    assert "secret" not in " ".join(made.argv), "a command line is everybody's to read"
    return made


def value(argv: tuple[str, ...], flag: str) -> str:
    return argv[argv.index(flag) + 1]


def test_vllm_is_started_under_the_deployments_name_on_loopback() -> None:
    made = launch("vllm", {"max_model_len": 2048, "quantization": "awq", "extra_args": ["--seed", "1"]})
    assert made.argv[:4] == (str(ENVIRONMENT), "-I", "-m", "vllm.entrypoints.openai.api_server")
    assert value(made.argv, "--host") == "127.0.0.1"
    assert value(made.argv, "--served-model-name") == "org/m"
    assert (value(made.argv, "--max-model-len"), value(made.argv, "--quantization")) == ("2048", "awq")
    assert made.argv[-2:] == ("--seed", "1")
    assert made.env["VLLM_API_KEY"] == "secret"


def test_vllm_on_a_cpu_has_its_cache_and_cores_from_the_machine_and_no_gpus_share() -> None:
    made = launch("vllm", {"cpu_cache_gib": 3}, replicas=1000)
    assert (made.env["VLLM_CPU_KVCACHE_SPACE"], made.env["OMP_NUM_THREADS"]) == ("3", "1")
    assert "--enforce-eager" in made.argv
    assert not {"--gpu-memory-utilization", "--tensor-parallel-size"} & set(made.argv)


def test_vllm_takes_the_plans_word_on_gpus_and_their_memory() -> None:
    made = launch("vllm", {"pipeline_parallel_size": 2}, (gpu(0), gpu(1, 0.4), gpu(2), gpu(3)))
    assert (value(made.argv, "--tensor-parallel-size"), value(made.argv, "--pipeline-parallel-size")) == ("2", "2")
    assert value(made.argv, "--gpu-memory-utilization") == "0.4"
    assert "VLLM_CPU_KVCACHE_SPACE" not in made.env


def test_stages_that_do_not_divide_the_gpus_are_refused() -> None:
    with pytest.raises(EngineError, match="pipeline_parallel_size is 2, and org/m has 3 GPUs"):
        launch("vllm", {"pipeline_parallel_size": 2}, (gpu(0), gpu(1), gpu(2)))


def test_adapters_are_models_of_their_own_name_at_the_engine_and_aliases_at_the_door() -> None:
    options = {"adapters": {"sql": "/adapters/sql"}}
    made = launch("vllm", options, companions={"sql": Path("/adapters/sql")})
    assert value(made.argv, "--lora-modules") == "sql=/adapters/sql"
    deployment = Deployment(source="/models/m", engine="vllm", options=options)
    assert deployment.adapters == {"sql": "/adapters/sql"}
    assert catalog.engine("vllm").capabilities(deployment).checks_names


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("argument", ["--port", "--api-key=x", "--served_model_name"])
def test_arguments_that_argosy_sets_cannot_be_passed_on(engine: str, argument: str) -> None:
    with pytest.raises(ValidationError, match="is Argosy's to say"):
        catalog.engine(engine).options.model_validate({"extra_args": [argument]})


def test_embeddings_of_vllm_are_a_pooling_models() -> None:
    assert value(launch("vllm", task="embed").argv, "--runner") == "pooling"


def test_sglang_hears_of_its_share_and_its_parallelism_and_not_without_a_gpu() -> None:
    made = launch("sglang", {"context_length": 4096}, (gpu(0), gpu(1, 0.7)))
    assert (value(made.argv, "--tp-size"), value(made.argv, "--mem-fraction-static")) == ("2", "0.5")
    assert value(made.argv, "--context-length") == "4096"
    assert made.env[KEY_VARIABLE] == "secret"
    with pytest.raises(EngineError, match="needs a GPU"):
        launch("sglang")


def test_our_own_server_runs_in_the_environment_by_its_path_and_nothing_of_ours_goes_along() -> None:
    made = launch("transformers", {"dtype": "float32"})
    assert made.argv[:2] == (str(ENVIRONMENT), "-I")
    assert made.argv[2:4] == (str(ENGINES / "standalone.py"), "argosy.engines.transformers_server")
    config = json.loads(made.argv[4])
    assert (config["name"], config["dtype"], config["device_map"]) == ("org/m", "float32", None)
    assert json.loads(launch("transformers", devices=(gpu(0),)).argv[4])["device_map"] == "auto"


@pytest.mark.parametrize("file", ["standalone", "llamacpp_server", "transformers_server", "transformers_model"])
def test_what_runs_in_a_strangers_environment_needs_nothing_of_argosys(file: str) -> None:
    """The standard library, its own kind, and inside functions what such an environment has."""
    tree = ast.parse((ENGINES / f"{file}.py").read_text(encoding="utf-8"))
    heads = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            heads |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            heads.add(node.module or "")
    ours = {"argosy.engines.standalone", "argosy.engines.transformers_model", "argosy.engines.transformers_text"}
    assert {each.partition(".")[0] for each in heads - ours} <= sys.stdlib_module_names


def test_llama_cpp_leaves_free_what_is_not_its_own_of_a_gpu() -> None:
    gib = 1 << 30
    assert free_margins([24 * gib, 10 * gib], [6 * gib, 10 * gib]) == [18 * gib, 256 << 20]


def test_a_replica_without_a_gpu_puts_no_layer_on_one(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(16))
    deployment = Deployment(source=str(model), options={"draft_model": "/d.gguf"})
    engine = catalog.engine("llama.cpp")
    assert engine.companions(deployment) == {"draft_model": "/d.gguf"}
    context = EngineContext(
        *("m", deployment, model, "secret", 0, tmp_path / "address"),
        devices=(),
        companions={"draft_model": Path("/d.gguf")},
    )
    config = json.loads(engine.launch(context).argv[-1])
    assert (config["gpu_layers"], config["draft_model"]) == (0, "/d.gguf")
