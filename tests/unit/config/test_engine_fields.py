"""What a fleet file says of engines: which one, its options, adapters, environments; every fault with its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.config.engine_fields import chosen_engine, environments_of
from argosy.config.engine_name import UNDECIDED
from argosy.config.environment import Environment
from argosy.config.load import check_fleet, deployment_record, load_fleet
from argosy.config.recipe import EnvironmentRecipe
from argosy.config.schema import Fleet
from argosy.engines import transformers
from argosy.errors import FleetFileError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class File:
    """A fleet file in a folder with some weights beside it."""

    def __init__(self, folder: Path, environment: Environment) -> None:
        self.folder = folder
        self.environment = environment
        for name in ("model", "adapter"):
            (folder / name).mkdir()
            (folder / name / "model.safetensors").write_text("")

    def load(self, text: str) -> Fleet:
        path = self.folder / "fleet.yaml"
        path.write_text(text)
        return load_fleet(path, self.environment)

    def faults(self, text: str) -> list[str]:
        with pytest.raises(FleetFileError) as caught:
            self.load(text)
        return [f"{fault.path}: {fault.message}" for fault in caught.value.faults]


@pytest.fixture
def file(tmp_path: Path, environment: Environment) -> File:
    return File(tmp_path, environment)


def test_a_named_environment_is_put_where_its_name_stands_and_travels_with_the_fleet(file: File) -> None:
    fleet = file.load(
        "environments: {old: {python: '3.9', requirements: [a==1]}}\n"
        "deployments: {m: {source: model, engine: transformers, environment: old}}"
    )
    recipe = EnvironmentRecipe(python="3.9", requirements=("a==1",))
    assert fleet.deployments["m"].environment == recipe
    sent = fleet.model_dump(mode="json", exclude_defaults=True)
    assert check_fleet(sent, file.environment, file="sent").deployments["m"].environment == recipe


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "environments: {old: {requirements: [a]}}\ndeployments: {m: {source: smollm2, environment: odl}}",
            "deployments.m.environment: 'odl' is none of old; did you mean old?",
        ),
        (
            "deployments: {m: {source: smollm2, environment: old}}",
            "deployments.m.environment: 'old' is no name in environments: there are none",
        ),
        (
            "environments: {old: {requirements: []}}\ndeployments: {m: {source: smollm2, environment: old}}",
            "environments.old.requirements: must name a package",
        ),
        (
            "deployments: {m: {source: smollm2, environment: {requirements: [--index-url=http://x]}}}",
            "deployments.m.environment.requirements[0]: '--index-url=http://x' is no requirement",
        ),
        (
            "deployments: {m: {source: smollm2, environment: {requirements: [a], python: 3.11}}}",
            "deployments.m.environment.python: must be a text, got 3.11; put it in quotes",
        ),
        (
            "deployments: {m: {engine: echo, environment: {requirements: [a]}}}",
            "deployments.m.environment: engine echo takes none",
        ),
        (
            "deployments: {m: {source: model, engine: vllm, options: {max_modle_len: 9}}}",
            "deployments.m.options.max_modle_len: unknown; did you mean max_model_len?",
        ),
        (
            "deployments: {m: {source: model, engine: vllm, options: {adapters: {sql: nowhere}}}}",
            "deployments.m.options.adapters.sql: ",
        ),
        (
            "deployments: {m: {source: model, engine: vllm, options: {adapters: {a: adapter}}}, a: {engine: echo}}",
            "'a' already names 'a'",
        ),
        (
            "deployments: {m: {source: 'hf:org/m', engine: transformers, options: {trust_remote_code: true}}}",
            "deployments.m.options.trust_remote_code: runs the code of a repository that may change: pin it",
        ),
        (
            "deployments: {m: {source: 'hf:org/m', revision: main, engine: vllm, options: {trust_remote_code: true}}}",
            "deployments.m.options.trust_remote_code: runs the code of a repository that may change: pin it",
        ),
        (
            "deployments: {m: {source: 'hf:org/m', options: {nothing_has_this: 1}}}",
            "deployments.m.engine: missing: the source's files decide between llama.cpp, vllm, transformers",
        ),
    ],
)
def test_a_fault_says_where_and_what(file: File, text: str, fault: str) -> None:
    found = file.faults(text)
    assert len(found) == 1, found
    assert fault in found[0]


def test_code_of_a_repository_runs_at_a_commit_and_from_a_folder_of_ours(file: File) -> None:
    trusted = "engine: transformers, options: {trust_remote_code: true}"
    file.load(
        f"deployments: {{a: {{source: 'hf:org/m', revision: {COMMIT}, {trusted}}}, b: {{source: model, {trusted}}}}}"
    )


def test_adapters_are_aliases_at_the_door_and_their_paths_are_the_files(file: File, tmp_path: Path) -> None:
    fleet = file.load("deployments: {m: {source: model, engine: vllm, options: {adapters: {sql: adapter}}}}")
    deployment = fleet.deployments["m"]
    assert deployment.adapters == {"sql": str(tmp_path / "adapter")}
    assert deployment_record("m", deployment, revision=1).aliases == ["sql"]


def test_an_open_engine_is_told_by_the_folder_and_brings_its_environment(file: File) -> None:
    fleet = file.load("deployments: {m: {source: model, device: cpu}, g: {source: smollm2}, e: {engine: echo}}")
    deployment = fleet.deployments["m"]
    assert deployment.engine_name == UNDECIDED
    assert chosen_engine(deployment, file.environment.cache) == ("transformers", "safetensors and no GPU")
    assert environments_of(fleet, file.environment) == {"m": transformers.ENVIRONMENT}


def test_options_of_a_folder_are_those_of_the_engine_that_its_files_choose(file: File) -> None:
    file.load("deployments: {m: {source: model, device: cpu, options: {dtype: float32}}}")
    found = file.faults("deployments: {m: {source: model, device: cpu, options: {slots: 4}}}")
    assert found == [f"deployments.m.options.slots: {found[0].partition(': ')[2]}"]
    assert "unknown" in found[0]
