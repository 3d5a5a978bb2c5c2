from __future__ import annotations

from pathlib import Path

import pytest

from argosy.cli.check import check
from argosy.config.environment import Environment
from argosy.config.load import load_fleet
from argosy.config.schema import Arena, Budget, Deployment, FastChat, Fleet, Gateway, Timeouts

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_every_example_has_no_fault(file: Path) -> None:
    fleet = load_fleet(file, Environment.read({}))
    assert fleet.deployments
    assert f"Fleet {fleet.name}" in check(file, Environment.read({}))


def test_the_commented_example_names_every_field() -> None:
    text = (EXAMPLES / "fleet.yaml").read_text(encoding="utf-8")
    models = (Fleet, Gateway, FastChat, Deployment, Timeouts, Budget, Arena)
    fields = {field for model in models for field in model.model_fields}
    assert {field for field in fields if f"{field}:" not in text} == set()


def test_the_demonstration_serves_the_model_twice() -> None:
    fleet = load_fleet(EXAMPLES / "demo.yaml", Environment.read({}))
    assert fleet.deployments["smollm2"].replicas == 2
    assert fleet.gateway.port == 8000


def test_check_says_that_a_deployment_fails_whose_key_is_not_set(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("deployments: {up: {urls: ['http://127.0.0.1:1/v1'], api_key_env: UPSTREAM_KEY, aliases: [x]}}")
    note = (
        "note: deployments.up.api_key_env: UPSTREAM_KEY is not set here: this deployment fails until it is, so set it "
        "before `argosy up`"
    )
    told = check(file, Environment.read({})).splitlines()
    assert told[1:] == ["  up: remote, 1 replica, also called x", note]
    assert note not in check(file, Environment.read({"UPSTREAM_KEY": "k"}))
