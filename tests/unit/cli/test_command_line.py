from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from argosy.cli import _COMMANDS, application, main
from argosy.cli.fleets import fleet_folder, running_fleet
from argosy.cli.follow import example
from argosy.cli.gateway import served_alone
from argosy.cli.tails import Tail
from argosy.cli.up import wanted_fleet, with_flags
from argosy.cli.worker import advertised
from argosy.config.environment import Environment
from argosy.config.schema import Deployment, Fleet
from argosy.errors import InputError, NotRunningError
from argosy.processes.identity import ProcessIdentity
from argosy.state import Home, ProcessRecord, write_json

Typed = Callable[..., tuple[object, str, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Typed:
    """The command with these words, in this process: its exit code, stdout and stderr."""
    monkeypatch.setenv("ARGOSY_HOME", str(tmp_path))

    def run(*words: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["argosy", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run


def run_here(environment: Environment, name: str) -> None:
    """A fleet that runs: this process stands for its gateway."""
    write_json(Home(environment.home).fleet(name).gateway, ProcessRecord(identity=ProcessIdentity.own()))


def test_no_running_fleet_is_told(environment: Environment) -> None:
    with pytest.raises(NotRunningError, match="no fleet runs"):
        running_fleet(environment, None)


def test_the_only_running_fleet_needs_no_name(environment: Environment) -> None:
    run_here(environment, "one")
    write_json(Home(environment.home).fleet("dead").gateway, ProcessRecord(identity=ProcessIdentity(1, 1.0)))
    assert running_fleet(environment, None).name == "one"


def test_a_fleet_that_is_for_one_chat_alone_is_nobody_elses(environment: Environment) -> None:
    run_here(environment, "one")
    run_here(environment, "chat-0123")
    write_json(Home(environment.home).fleet("chat-0123").owner, ProcessIdentity.own())
    assert running_fleet(environment, None).name == "one"
    assert running_fleet(environment, "chat-0123").name == "chat-0123"


def test_one_of_several_fleets_must_be_named(environment: Environment) -> None:
    run_here(environment, "one")
    run_here(environment, "two")
    with pytest.raises(InputError, match="more than one fleet runs: one, two"):
        running_fleet(environment, None)
    assert running_fleet(environment, "two").name == "two"
    with pytest.raises(NotRunningError, match="'three' does not run; these run: one, two"):
        running_fleet(environment, "three")


def test_a_fleet_name_that_is_none_never_becomes_a_folder(environment: Environment) -> None:
    with pytest.raises(InputError, match="--fleet"):
        fleet_folder(environment, "../elsewhere")


def test_a_yaml_argument_is_a_file_and_everything_else_a_source(environment: Environment, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("deployments: {a: {engine: echo}}")
    assert wanted_fleet([str(file)], environment).name == "mine"
    assert list(wanted_fleet(["smollm2", "smollm2"], environment).deployments) == ["smollm2"]
    with pytest.raises(InputError, match="one fleet file, or sources"):
        wanted_fleet([str(file), "smollm2"], environment)


def test_without_a_file_up_says_what_to_type(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no fleet\.yaml here"):
        wanted_fleet([], environment)


def test_a_log_is_followed_over_its_rotation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\nthree\nhal")
    tail = Tail(log, "a | ")
    tail.last(2)
    with log.open("a") as file:
        file.write("f\n")
    tail.more()
    log.write_text("new\n")
    tail.more()
    assert capsys.readouterr().out == "a | two\na | three\na | half\na | new\n"


def test_help_imports_little() -> None:
    """What makes it quick, and can be counted: benchmarks/startup.py has the time."""

    def imported(program: str) -> set[str]:
        program = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {program}"
        command = [sys.executable, "-c", program]
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stderr.split())

    help_ = "import runpy; sys.argv = ['argosy', '--help']; runpy.run_module('argosy', run_name='__main__')"
    ours = imported(help_) - imported("")
    assert {name for name in ours if name.startswith("argosy.")} == {"argosy.cli", "argosy.errors"}
    foreign = {name.partition(".")[0] for name in ours} - sys.stdlib_module_names
    assert foreign <= {"argosy", "typer", "shellingham", "annotated_doc"}
    assert len(ours) <= 140


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_has_help_of_its_own(name: str) -> None:
    done = CliRunner().invoke(application([name, "--help"]), [name, "--help"], prog_name="argosy")
    assert (done.exit_code, f"argosy {name} " in done.output) == (0, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["scale", "a", "-1"], "scale a -1: write how many replicas there are to be"),
        (["scale", "a", "two"], "scale a two: write how many"),
        (["scale", "a", "1", "--flee", "b"], "--flee b"),
    ],
)
def test_words_that_scale_cannot_take_are_named(words: list[str], sentence: str, typed: Typed) -> None:
    code, output, errors = typed(*words)
    assert (code, output) == (2, "")
    assert sentence in errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--join", "ftp://x"], "--join ftp://x: write a gateway's URL"),
        (["--join", "http://127.0.0.1:1", "-o", "slots=["], "--option slots=[: its value cannot be read as YAML"),
        (["--join", "http://127.0.0.1:1", "--concurrency", "0"], "--concurrency"),
    ],
)
def test_a_worker_refuses_bad_words_at_once(
    words: list[str], sentence: str, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGOSY_JOIN_TOKEN", "t")
    code, _, errors = typed("worker", "--engine", "echo", "--name", "a", *words)
    assert code == 2
    assert sentence in errors


def test_a_gateway_alone_serves_only_the_remote_deployments_of_a_file(environment: Environment, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("deployments: {a: {engine: echo}, b: {urls: ['http://127.0.0.1:1/v1']}}")
    assert list(served_alone(file, None, environment).deployments) == ["b"]


def test_flags_of_up_take_the_place_of_what_the_file_says() -> None:
    fleet = Fleet(deployments={"a": Deployment(engine="echo", concurrency=3), "b": Deployment(engine="echo")})
    changed = with_flags(fleet, host="0.0.0.0", port=9000, concurrency=10)
    assert (changed.gateway.host, changed.gateway.port) == ("0.0.0.0", 9000)
    assert [each.concurrency for each in changed.deployments.values()] == [10, 10]
    assert with_flags(fleet, host=None, port=None, concurrency=None) == fleet


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("10.0.0.5", "http://10.0.0.5"),
        ("10.0.0.5:21002", "http://10.0.0.5:21002"),
        ("http://box:21002", "http://box:21002"),
        ("fd00::5", "http://[fd00::5]"),
        ("[fd00::5]:21002", "http://[fd00::5]:21002"),
    ],
)
def test_an_address_to_advertise_is_written_as_one_likes(address: str, told: str) -> None:
    assert advertised(address) == told


@pytest.mark.parametrize("address", ["", "https://box", "http://box/path", "box:0", "a b", "ftp://box"])
def test_what_is_no_address_to_advertise_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="write HOST or HOST:PORT"):
        advertised(address)


def test_what_can_be_typed_next_fits_the_model() -> None:
    talks = example("http://h:1", "m", keyed=False, embeds=False)
    assert talks.startswith("  argosy chat m\n  curl http://h:1/v1/chat/completions ")
    embeds = example("http://h:1", "m", keyed=False, embeds=True)
    assert embeds.startswith("  curl http://h:1/v1/embeddings ")
    assert '{"model": "m", "input": "Hello"}' in embeds
