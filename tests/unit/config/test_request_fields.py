"""What a deployment may say about its requests and its chat template, and how the gateway is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from argosy.config.environment import Environment
from argosy.config.load import check_fleet, deployment_record, load_fleet
from argosy.config.schema import DEFAULT_MAX_TOKENS, Deployment, Fleet
from argosy.errors import FleetFileError
from argosy.fleet.planner import config_of
from argosy.protocol.deployment import DeploymentRecord, Shaping

TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}\n"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Deployment]:
    """The deployment `a` with these fields."""

    def loaded(fields: str) -> Deployment:
        path = tmp_path / "fleet.yaml"
        path.write_text(f"deployments: {{a: {{{fields}}}}}", encoding="utf-8")
        return load_fleet(path, Environment.read({"LIMIT": "7"})).deployments["a"]

    return loaded


Load = Callable[[str], Deployment]


def shaping(**fields: Any) -> Shaping | None:
    return deployment_record("a", Deployment(**{"engine": "echo", **fields}), revision=1).shaping


def test_an_answer_that_nobody_bounds_is_bounded() -> None:
    assert shaping() == Shaping(max_tokens=DEFAULT_MAX_TOKENS)
    assert shaping(max_tokens_ceiling=99) == Shaping(max_tokens=99, ceiling=99)
    assert shaping(defaults={"max_tokens": 5}, max_tokens_ceiling=99) == Shaping(max_tokens=5, ceiling=99)


def test_null_allows_the_whole_context_up_to_the_ceiling() -> None:
    assert shaping(defaults={"max_tokens": None}) is None
    assert shaping(defaults={"max_tokens": None}, max_tokens_ceiling=99) == Shaping(max_tokens=99, ceiling=99)


def test_the_bound_keeps_the_name_that_the_file_gives_it() -> None:
    assert shaping(defaults={"max_completion_tokens": 5, "stop": "x", "seed": None}) == Shaping(
        defaults={"stop": "x"}, max_tokens=5, bound="max_completion_tokens"
    )


def test_nothing_is_added_to_a_remote_unless_its_deployment_names_it() -> None:
    remote = {"engine": "remote", "urls": ["http://127.0.0.1:1/v1"]}
    assert shaping(**remote) is None
    assert shaping(**remote, defaults={"max_tokens": 5}) == Shaping(max_tokens=5)


def test_a_vector_has_no_length_to_bound() -> None:
    assert shaping(task="embed") is None
    assert shaping(task="embed", defaults={"encoding_format": "float"}) == Shaping(
        defaults={"encoding_format": "float"}
    )


def test_what_the_file_says_survives_every_way_it_travels(load: Load) -> None:
    fields = """engine: echo, defaults: {max_tokens: null, stop: ["a", "b"], logit_bias: {5: -1}, temperature: 0.5},
        system_prompt: "Sei höflich."
    """
    deployment = load(fields)
    assert Deployment.model_validate(config_of(deployment)) == deployment
    record = deployment_record("a", deployment, revision=1)
    assert record.shaping == Shaping(
        defaults={"stop": ["a", "b"], "logit_bias": {"5": -1}, "temperature": 0.5}, system_prompt="Sei höflich."
    )
    assert msgspec.json.decode(msgspec.json.encode(record), type=DeploymentRecord) == record


def test_a_variable_may_hold_a_number_of_tokens(load: Load) -> None:
    assert load('engine: echo, defaults: {max_tokens: "${LIMIT}"}, max_tokens_ceiling: "${LIMIT}"') == Deployment(
        engine="echo", defaults={"max_tokens": 7}, max_tokens_ceiling=7
    )


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("defaults: {model: x}", "defaults.model: 'model' is what a request is about, so it can have no default"),
        ("defaults: {messages: []}", "defaults.messages: 'messages' is what a request is about, so it can have no "),
        ("defaults: {stream: true}", "defaults.stream: 'stream' is what a request is about"),
        ("defaults: {max_tokens: 0}", "defaults: max_tokens must be a whole number of at least 1, or null for no "),
        ("defaults: {max_tokens: many}", "defaults: max_tokens must be a whole number of at least 1"),
        ("defaults: {max_tokens: true}", "defaults: max_tokens must be a whole number of at least 1"),
        ("defaults: {max_tokens: 5, n_predict: 5}", "defaults: max_tokens and n_predict bound the same thing"),
        ("defaults: {max_tokens: 5}, max_tokens_ceiling: 4", "defaults: max_tokens is 5, more than max_tokens_ceiling"),
        ("defaults: {user: 2020-01-01}", "defaults.user: 2020-01-01 is no value of JSON; put it in quotes if it is "),
        ("defaults: {x: {y: [.inf]}}", "defaults.x: inf is no value of JSON"),
        ("defaults: 5", "defaults: must be a mapping of names to values, got 5"),
        ("max_tokens_ceiling: 0", "max_tokens_ceiling: must be at least 1, got 0"),
        ("system_prompt: ''", "system_prompt: must not be empty"),
        ("task: embed, system_prompt: x", "system_prompt: only for task generate"),
        ("task: embed, max_tokens_ceiling: 5", "max_tokens_ceiling: only for task generate"),
        ("task: embed, defaults: {max_tokens: 5}", "defaults: max_tokens is only for task generate"),
        ("chat_template: '{{ x }}'", "chat_template: engine echo takes none"),
        ("check_memory: sometimes", "check_memory: must be true or false, got 'sometimes'"),
    ],
)
def test_what_cannot_be_asked_for_is_a_fault(fields: str, fault: str, load: Load) -> None:
    with pytest.raises(FleetFileError) as caught:
        load(f"engine: echo, {fields}")
    found = [str(each) for each in caught.value.faults]
    assert any(each.startswith(f"deployments.a.{fault}") for each in found), found


def test_a_chat_templates_file_gives_way_to_its_text(load: Load, tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_text(TEMPLATE, encoding="utf-8")
    fields = "command: [x, '{chat_template}'], chat_template:"
    deployment = load(f"{fields} chat.jinja")
    assert deployment.chat_template == TEMPLATE
    assert load(f"{fields} {str(tmp_path / 'chat.jinja')!r}") == deployment
    sent = Fleet(deployments={"a": deployment}).model_dump(mode="json", exclude_defaults=True)
    assert check_fleet(sent, Environment.read({}), file="sent").deployments["a"] == deployment


def test_a_chat_template_may_stand_in_the_file_itself(load: Load) -> None:
    assert load("command: [x, '{chat_template}'], chat_template: '{{ messages }}'").chat_template == "{{ messages }}"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "no such file: "),
        (b"", "is empty"),
        (b"no template", "has no { in it: it is no chat template"),
        (b"\xff{{ x }}", "cannot be read: 'utf-8' codec"),
        (b"{" * 1024 * 1025, "has 1049600 bytes: that is no chat template"),
    ],
)
def test_a_chat_template_that_is_none_is_a_fault(content: bytes | None, fault: str, load: Load, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "chat.jinja").write_bytes(content)
    with pytest.raises(FleetFileError, match=r"deployments\.a\.chat_template: .*chat\.jinja") as caught:
        load("command: [x, '{chat_template}'], chat_template: chat.jinja")
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        (
            "command: [x], chat_template: '{{ x }}'",
            "chat_template: is used nowhere: write {chat_template} into command",
        ),
        ("command: [x, '{chat_template}']", "chat_template: missing ({chat_template} in command needs it)"),
        ("urls: ['http://127.0.0.1:1/v1'], chat_template: '{{ x }}'", "chat_template: engine remote takes none"),
    ],
)
def test_a_chat_template_and_its_engine_go_together(fields: str, fault: str, load: Load) -> None:
    with pytest.raises(FleetFileError) as caught:
        load(fields)
    assert f"deployments.a.{fault}" in str(caught.value)
