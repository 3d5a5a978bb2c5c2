from __future__ import annotations

from pathlib import Path

import pytest

from argosy.cli.check import check
from argosy.config import fastchat_variables
from argosy.config.environment import Environment
from argosy.config.load import fleet_of_sources, load_fleet
from argosy.config.schema import Deployment, Timeouts
from argosy.errors import InputError


def loaded(tmp_path: Path, deployment: str, **variables: str) -> Deployment:
    path = tmp_path / "demo.yaml"
    path.write_text(f"deployments: {{m: {deployment}}}")
    return load_fleet(path, Environment.read(variables)).deployments["m"]


@pytest.mark.parametrize(
    ("written", "seconds", "expected"),
    [
        ("", "100", {"first_token": 100, "idle": 100}),
        (", timeouts: {idle: 7}", "100", {"first_token": 100, "idle": 7}),
        (", timeouts: {total: 50}", "100", {"first_token": 50, "idle": 50, "total": 50}),
        ("", "900", {"first_token": 900, "idle": 900, "total": 900}),
        (", timeouts: {first_token: null}", "5", {"first_token": 5, "idle": 5}),
    ],
)
def test_a_time_limit_is_for_an_answers_beginning_and_its_pauses_where_the_file_sets_none(
    tmp_path: Path, written: str, seconds: str, expected: dict[str, float]
) -> None:
    found = loaded(tmp_path, f"{{engine: echo{written}}}", FASTCHAT_WORKER_API_TIMEOUT=seconds)
    assert found.timeouts == Timeouts(**expected)


def test_a_batch_is_for_embeddings_and_the_files_own_wins(tmp_path: Path) -> None:
    variables = {"FASTCHAT_WORKER_API_EMBEDDING_BATCH_SIZE": "8"}
    assert loaded(tmp_path, "{engine: echo, task: embed}", **variables).embedding_batch == 8
    assert loaded(tmp_path, "{engine: echo, task: embed, embedding_batch: 2}", **variables).embedding_batch == 2
    assert loaded(tmp_path, "{engine: echo}", **variables).embedding_batch is None


def test_sources_on_the_command_line_heed_them_too() -> None:
    fleet = fleet_of_sources(["smollm2"], Environment.read({"FASTCHAT_WORKER_API_TIMEOUT": "9"}))
    assert fleet.deployments["smollm2"].timeouts.idle == 9


@pytest.mark.parametrize("given", ["many", "0", "-1", "nan", "inf"])
def test_what_is_no_number_is_told_with_its_variable(tmp_path: Path, given: str) -> None:
    with pytest.raises(InputError, match=r"FASTCHAT_WORKER_API_TIMEOUT is .*not a number above 0"):
        loaded(tmp_path, "{engine: echo}", FASTCHAT_WORKER_API_TIMEOUT=given)


def test_modelscope_comes_first_unless_argosys_own_variable_says_otherwise() -> None:
    assert Environment.read({"FASTCHAT_USE_MODELSCOPE": "True"}).sources[0] == "modelscope"
    assert Environment.read({"FASTCHAT_USE_MODELSCOPE": "False"}).sources == ()
    assert Environment.read({"FASTCHAT_USE_MODELSCOPE": "true", "ARGOSY_SOURCES": "hf"}).sources == ("hf",)


def test_each_that_is_set_has_a_line_that_names_what_replaces_it(tmp_path: Path) -> None:
    variables = {
        "FASTCHAT_WORKER_API_TIMEOUT": "100",
        "FASTCHAT_WORKER_HEART_BEAT_INTERVAL": "45",
        "LOGDIR": "/var/log",
        "SSL_KEYFILE": "key.pem",
        "FASTCHAT_USE_MODELSCOPE": " ",
    }
    told = fastchat_variables.notes(variables)
    assert [line.partition(",")[0] for line in told] == [
        "FASTCHAT_WORKER_API_TIMEOUT",
        "FASTCHAT_WORKER_HEART_BEAT_INTERVAL",
        "LOGDIR",
        "SSL_KEYFILE",
    ]
    replacements = ("timeouts.first_token", "once a second", "argosy logs", "gateway.tls_key")
    for line, replacement in zip(told, replacements, strict=True):
        assert replacement in line
    (tmp_path / "demo.yaml").write_text("deployments: {m: {engine: echo}}")
    assert f"note: {told[0]}" in check(tmp_path / "demo.yaml", Environment.read(variables))
