from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.config.environment import Environment
from argosy.config.json_schema import json_schema
from argosy.config.load import check_fleet, deployment_record, fleet_of_sources, load_fleet
from argosy.config.schema import Deployment, Fleet
from argosy.engines import catalog
from argosy.errors import FleetFileError

Load = Callable[..., Fleet]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a fleet file of that text, with those environment variables."""

    def loaded(text: str, *, file: str = "demo.yaml", **variables: str) -> Fleet:
        path = tmp_path / file
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return load_fleet(path, Environment.read(variables))

    return loaded


@pytest.fixture
def faults(load: Load) -> Callable[..., list[str]]:
    def found(text: str, **rest: str) -> list[str]:
        with pytest.raises(FleetFileError) as caught:
            load(text, **rest)
        assert caught.value.exit_code == 2
        return [str(fault) for fault in caught.value.faults]

    return found


Faults = Callable[..., list[str]]


def test_every_fault_is_found_at_once_with_path_suggestion_and_line(faults: Faults) -> None:
    text = """\
        gateway: {prot: 8000}
        deployments:
          smollm2:
            source: smolm2
            optoins: {}
            replicas: -1
          x:
            engine: llamacpp
            timeouts: {idle: 900, frist: 1}
          y: {engine: remote, command: [a], concurrency: many}
        """
    assert faults(text) == [
        "gateway.prot: unknown; did you mean port? (line 1)",
        "deployments.smollm2.source: 'smolm2' is no file and no catalog name; did you mean smollm2? (line 4)",
        "deployments.smollm2.optoins: unknown; did you mean options? (line 5)",
        "deployments.smollm2.replicas: must be at least 0, got -1 (line 6)",
        "deployments.x.engine: 'llamacpp' is none of llama.cpp, vllm, transformers, sglang, command, echo, remote; "
        "did you mean llama.cpp? (line 8)",
        "deployments.x.timeouts.idle: 900 is more than total (600): it never applies (line 9)",
        "deployments.x.timeouts.frist: unknown; known here: connect, queue, first_token, idle, total (line 9)",
        "deployments.y.urls: missing (engine remote needs it) (line 10)",
        "deployments.y.command: only for engine command, this one is remote (line 10)",
        "deployments.y.concurrency: must be a whole number, got 'many' (line 10)",
    ]


def test_the_engines_own_options_are_checked(faults: Faults) -> None:
    found = faults("deployments: {fake: {engine: echo, options: {tokens_per_secnd: 5}}, r: {replicas: x}}")
    assert "deployments.fake.options.tokens_per_secnd: unknown; did you mean tokens_per_second? (line 1)" in found
    assert "deployments.r.replicas: must be a whole number, got 'x' (line 1)" in found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("deployments: {all: {engine: echo}}", "deployments.all: 'all' is reserved"),
        ("deployments: {../x: {engine: echo}}", "deployments.../x: '../x' is no name"),
        ("deployments: {3.5: {engine: echo}}", "deployments.3.5: must be a text, got 3.5; put it in quotes"),
        (
            "deployments: {a: {engine: echo, aliases: a}}",
            "deployments.a.aliases: must be a list such as [a, b], got 'a'",
        ),
        ("deployments: {a: {engine: echo, aliases: [a]}}", "deployments.a.aliases[0]: 'a' already names 'a'"),
        ("deployments: {a: {engine: echo, aliases: [b]}, b: {engine: echo}}", "deployments.a.aliases[0]: 'b' already"),
        ("deployments: {-a: {engine: echo}}", "deployments.-a: '-a' is no name"),
        ("deployments: {a: {engine: echo, aliases: [--b]}}", "deployments.a.aliases[0]: '--b' is no name"),
        (
            "deployments: {a: {engine: echo}, a.0: {engine: echo}}",
            "deployments.a.0: 'a.0' is what a replica of 'a' is called",
        ),
        (
            "deployments: {a: {engine: echo, replicas: 13}, b: {engine: echo, aliases: [a.12]}}",
            "deployments.b.aliases[0]: 'a.12' is what a replica of 'a' is called",
        ),
        ("deployments: {a: {engine: echo, replicas: yes}}", "deployments.a.replicas: must be a number, got true"),
        (
            "deployments: {a: {engine: echo, timeouts: {idle: on}}}",
            "deployments.a.timeouts.idle: must be a number, got true",
        ),
        ("deployments: {a: {command: [x, '{path}']}}", "deployments.a.source: missing ({path} in command needs it)"),
        (
            "deployments: {a: {engine: echo, env: {A: 1}}}",
            "deployments.a.env.A: must be a text, got 1; put it in quotes",
        ),
        ("deployments: {a: {engine: echo, weight: 0}}", "deployments.a.weight: must be more than 0, got 0"),
        ("deployments: {a: {urls: ['h:1'], source: smollm2}}", "deployments.a.urls[0]: 'h:1' is no base URL"),
        (
            "deployments: {a: {urls: ['http://h:1/v1'], source: smollm2}}",
            "deployments.a.source: engine remote takes none",
        ),
        (
            "deployments: {a: {urls: ['http://h:1/v1'], replicas: 3}}",
            "deployments.a.replicas: engine remote has one for",
        ),
        ("deployments: {a: {engine: remote, urls: 5}}", "deployments.a.urls: must be a list such as [a, b], got 5"),
        (
            "deployments: {a: {source: 'ftp:org/name'}}",
            "deployments.a.source: 'ftp:org/name' is no source that Argosy knows",
        ),
        (
            "deployments: {a: {source: 'hf:org/name#v1', revision: v2}}",
            "deployments.a.revision: 'v2' and 'hf:org/name#v1' name two revisions; write one",
        ),
        ("deployments: {a: {source: smollm2, revision: v2}}", "deployments.a.revision: 'smollm2' has no revisions"),
        ("deployments: {a: {engine: echo, revision: v2}}", "deployments.a.revision: of no source: only hf: and models"),
        ("deployments: {a: {source: weights/none.gguf}}", "deployments.a.source: no such file: /"),
        ("deployments: {a: [1]}", "deployments.a: must be a mapping of names to values, got a list"),
        ("deployments: {}\ngateway: {api_key_file: keys}", "gateway.api_key_file: no such file: /"),
        ("deployments: {a: {}}", "deployments.a.source: missing (engine llama.cpp needs it)"),
        ("deployments:\n  a: {engine: echo}\n  a: {engine: echo}", "deployments.a: given twice (lines 2 and 3)"),
    ],
)
def test_a_fault_says_where_and_what(text: str, fault: str, faults: Faults) -> None:
    found = faults(text)
    assert any(each.startswith(fault) for each in found), found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is empty; it needs at least `deployments:`"),
        ("# only a comment\n", "it is empty; it needs at least `deployments:`"),
        ("- a\n", "it holds a list instead of a mapping"),
        ("a: [1\nb: 2\n", "it is no valid YAML: line 2, column 2"),
        ("a: {port: ${PORT}}\n", 'write "${NAME}" in quotes'),
        ("a: &a [*a]\n", "a[0] contains itself (line 1)"),
        ("a: \x07\n", "it is no valid YAML: "),
        pytest.param("[" * 1000, "it is nested too deeply", id="deep"),
        ("a: !!python/name:os.system\n", "it is no valid YAML: line 1"),
        ("a: 2020-13-45\n", "it is no valid YAML: month must be in 1..12"),
    ],
)
def test_a_file_that_is_no_fleet_file_gets_one_sentence(text: str, sentence: str, faults: Faults) -> None:
    (found,) = faults(text)
    assert sentence in found


def test_what_is_no_file_gets_one_sentence(tmp_path: Path) -> None:
    environment = Environment.read({})
    with pytest.raises(FleetFileError, match="there is no such file"):
        load_fleet(tmp_path / "none.yaml", environment)
    with pytest.raises(FleetFileError, match="this is a folder"):
        load_fleet(tmp_path, environment)
    (tmp_path / "latin.yaml").write_bytes("name: größe".encode("latin-1"))
    with pytest.raises(FleetFileError, match=r"not UTF-8 \(byte 8 is 0xf6\)"):
        load_fleet(tmp_path / "latin.yaml", environment)


def test_a_file_that_multiplies_itself_is_refused(faults: Faults) -> None:
    levels = ["l0: &l0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    levels += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    (found,) = faults("\n".join(levels))
    assert "more than 100000 values" in found


def test_variables_are_filled_in(load: Load) -> None:
    text = """
        gateway: {port: "${PORT}"}
        deployments:
          a: {engine: echo, replicas: "${COPIES:-2}", env: {A: "x-${WHO}-y", B: "$${PLAIN}", C: "${EMPTY:-}"}}
        """
    fleet = load(text, PORT="8123", WHO="me")
    assert fleet.gateway.port == 8123
    assert fleet.deployments["a"].replicas == 2
    assert fleet.deployments["a"].env == {"A": "x-me-y", "B": "${PLAIN}", "C": ""}


def test_an_unset_variable_is_named_once(faults: Faults) -> None:
    text = 'gateway: {port: "${PORT}"}\ndeployments: {a: {engine: echo, env: {K: "${1X}"}}}'
    assert faults(text) == [
        "gateway.port: environment variable PORT is not set; export it, or write ${PORT:-default} (line 1)",
        "deployments.a.env.K: '${1X}' is no variable; write ${NAME}, ${NAME:-default}, or $${ where you mean "
        "a plain ${ (line 2)",
    ]


def test_the_fleet_is_called_as_its_file_unless_it_says_otherwise(load: Load, faults: Faults) -> None:
    assert load("deployments: {}", file="lab.yaml").name == "lab"
    assert load("name: other\ndeployments: {}", file="lab.yaml").name == "other"
    (found,) = faults("deployments: {}", file="my fleet.yaml")
    assert found.startswith("name: 'my fleet' is no name")
    assert "write `name:`" in found


def test_a_field_whose_lines_are_all_comments_is_left_out(load: Load, faults: Faults) -> None:
    fleet = load("deployments:\n  a:\n    engine: echo\n    options:\n      # load_seconds: 1\n    timeouts:\n")
    assert fleet.deployments["a"] == Deployment(engine="echo")
    assert faults("deployments: {a: {engine: echo, optoins: }}") == [
        "deployments.a.optoins: unknown; did you mean options? (line 1)"
    ]


def test_relative_paths_are_taken_from_the_files_folder(load: Load, tmp_path: Path) -> None:
    (tmp_path / "w.gguf").touch()
    (tmp_path / "keys").touch()
    fleet = load(
        "gateway: {api_key_file: keys}\n"
        "deployments: {a: {source: ./w.gguf}, b: {command: [./serve.sh, '{port}']}, c: {command: [python3, x/y]}}"
    )
    assert fleet.gateway.api_key_file == str(tmp_path / "keys")
    assert fleet.deployments["a"].source == str(tmp_path / "w.gguf")
    assert fleet.deployments["b"].command == (str(tmp_path / "serve.sh"), "{port}")
    assert fleet.deployments["c"].command == ("python3", "x/y")


def test_a_checked_fleet_passes_the_checks_again_as_data(load: Load, tmp_path: Path) -> None:
    (tmp_path / "w.gguf").touch()
    fleet = load(
        """
        gateway: {port: 0}
        deployments:
          a: {source: w.gguf, aliases: [x], timeouts: {total: 30}, env: {K: "$${PLAIN}"}}
          b: {urls: [http://127.0.0.1:1/v1, "http://127.0.0.1:2/v1/"]}
          c: {command: [./serve, "{port}"], ready: /ready}
          d: {engine: echo}
        """
    )
    environment = Environment.read({})
    assert check_fleet(fleet.model_dump(mode="json"), environment, file="sent") == fleet
    assert check_fleet(fleet.model_dump(mode="json", exclude_unset=True), environment, file="sent") == fleet
    for deployment in fleet.deployments.values():
        assert Deployment.model_validate(deployment.model_dump(mode="json")) == deployment


def test_a_sent_fleet_must_not_name_files_of_nobodys_folder() -> None:
    with pytest.raises(FleetFileError, match=r"'w\.gguf' is a relative path; a fleet that is"):
        check_fleet({"deployments": {"a": {"command": ["x"], "source": "w.gguf"}}}, Environment.read({}), file="sent")


def test_sources_on_the_command_line_make_a_fleet(tmp_path: Path) -> None:
    one, two = tmp_path / "Qwen 2.5 (q4).gguf", tmp_path / "b" / "Qwen 2.5 (q4).gguf"
    two.parent.mkdir()
    one.touch()
    two.touch()
    fleet = fleet_of_sources(["smollm2", str(one), "smollm2", str(two)], Environment.read({}))
    assert fleet.name == "default"
    assert {name: (each.source, each.replicas) for name, each in fleet.deployments.items()} == {
        "smollm2": ("smollm2", 2),
        "qwen-2.5-q4": (str(one), 1),
        "qwen-2.5-q4-2": (str(two), 1),
    }


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("qwen2.5:0.5b", "qwen2.5-0.5b"),
        ("hf:Qwen/Qwen3-4B-GGUF:Q4_K_M#main", "qwen3-4b"),
        ("modelscope:org/Some.Model", "some.model"),
        ("https://host/weights/Tiny%20One.gguf?download=true", "tiny-one"),
        ("pypi:a==1/b/Tiny.gguf", "tiny"),
    ],
)
def test_a_source_on_the_command_line_names_its_deployment(source: str, name: str) -> None:
    fleet = fleet_of_sources([source], Environment.read({}))
    assert {found: each.source for found, each in fleet.deployments.items()} == {name: source}


def test_a_revision_joins_its_source(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("deployments: {a: {source: 'hf:org/repo:Q8_0', revision: v1}}")
    fleet = load_fleet(file, Environment.read({}))
    assert fleet.deployments["a"].source == "hf:org/repo:Q8_0#v1"
    again = check_fleet(fleet.model_dump(mode="json", exclude_defaults=True), Environment.read({}), file="sent")
    assert again.deployments["a"].source == "hf:org/repo:Q8_0#v1"


def test_a_wrong_source_on_the_command_line_is_named() -> None:
    with pytest.raises(FleetFileError, match="'smolm2' is no file and no catalog name; did you mean smollm2"):
        fleet_of_sources(["smolm2"], Environment.read({}))


def test_a_record_tells_the_gateway_what_it_routes_by() -> None:
    deployment = Deployment(engine="remote", urls=("http://h:1/v1", "http://h:2/v1"), aliases=("x",))
    record = deployment_record("up", deployment, revision=1_700_000_000_123, stopped=True)
    assert (record.name, record.replicas, record.aliases, record.created) == ("up", 2, ["x"], 1_700_000_000)
    assert record.stopped
    assert record.timeouts.queue == deployment.timeouts.queue


def test_the_schema_has_each_engines_options() -> None:
    schema = json_schema()
    assert {"Options of echo", "Options of llama.cpp", "Options of command"} <= set(schema["$defs"])
    assert schema["$defs"]["Deployment"]["properties"]["engine"]["enum"] == list(catalog.NAMES)


def test_a_dot_and_digits_are_a_name_where_no_replica_has_it(environment: Environment) -> None:
    fleet = check_fleet(
        {"deployments": {"qwen2": {"engine": "echo"}, "qwen2.5": {"engine": "echo"}, "b.c": {"engine": "echo"}}},
        environment,
        file="sent",
    )
    assert list(fleet.deployments) == ["qwen2", "qwen2.5", "b.c"]


def test_telemetry_without_its_extra_is_a_fault_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text("gateway: {telemetry: otlp}")
    program = """
import sys
class Without:
    def find_spec(self, name, path, target=None):
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
from argosy.cli import main
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "check", "demo.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "gateway.telemetry: otlp needs OpenTelemetry, which" in done.stderr
    assert "pip install 'argosy[otel]' (line 1)" in done.stderr


def test_telemetry_is_a_word_that_is_known(faults: Faults) -> None:
    assert faults("gateway: {telemetry: jaeger}") == ["gateway.telemetry: 'jaeger' is none of otlp (line 1)"]


@pytest.mark.parametrize(
    ("fields", "policy"),
    [
        ({"engine": "echo"}, "affinity"),
        ({"engine": "echo", "policy": "round_robin"}, "round_robin"),
        ({"urls": ["http://127.0.0.1:1/v1"]}, "least_in_flight"),
        ({"urls": ["http://127.0.0.1:1/v1"], "policy": "affinity"}, "affinity"),
    ],
)
def test_prompts_go_where_their_cache_is_unless_nobody_knows_of_any(fields: dict[str, Any], policy: str) -> None:
    assert deployment_record("m", Deployment.model_validate(fields), revision=1).policy == policy
