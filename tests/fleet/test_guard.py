"""Whatever way an owner or a guard dies, nothing of the engine is left a second later."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from family import MEMBERS

from argosy.processes.identity import ProcessIdentity, wait_gone
from argosy.state import read_json, write_json
from argosy.worker.engine_process import end_leftovers
from argosy.worker.guard import RecordedTree

HERE = Path(__file__).parent


@dataclass
class Stage:
    """An owner with a guarded family."""

    folder: Path
    owner: subprocess.Popen[str]
    family: dict[str, ProcessIdentity] = field(default_factory=dict)

    def say(self) -> str:
        assert self.owner.stdout is not None
        return self.owner.stdout.readline().strip()

    @property
    def guard(self) -> ProcessIdentity:
        recorded = read_json(self.folder / "engine.json", list[ProcessIdentity])
        assert recorded
        return recorded[0]

    def everybody(self) -> list[ProcessIdentity]:
        return [*self.family.values(), self.guard]


def start(folder: Path, *arguments: str) -> Stage:
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    owner = subprocess.Popen(
        [sys.executable, HERE / "owner.py", folder, sys.executable, HERE / "family.py", fifo, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    stage = Stage(folder, owner)
    while len(stage.family) < len(MEMBERS):
        with fifo.open() as told:
            for line in told:
                role, pid = line.split()
                try:
                    stage.family[role] = ProcessIdentity.of(int(pid))
                except ProcessLookupError:  # ended by the guard already, where the engine leaves
                    stage.family[role] = ProcessIdentity(int(pid), 0.0)
    assert stage.say() == "runs"
    return stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = start(tmp_path)
    yield made
    end(made)


def end(stage: Stage) -> None:
    stage.owner.kill()
    stage.owner.communicate()
    for who in stage.family.values():
        who.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_an_owner_that_dies_takes_the_whole_family_with_it_within_a_second(
    stage: Stage, number: signal.Signals
) -> None:
    everybody = stage.everybody()
    stage.owner.send_signal(number)
    assert wait_gone(everybody, 1.0) == []


def test_a_guard_that_is_killed_leaves_nothing_and_its_owner_says_so(stage: Stage) -> None:
    everybody = stage.everybody()
    stage.guard.send_signal(signal.SIGKILL)
    assert wait_gone(everybody, 1.0) == []
    assert stage.say() == "ended None False"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_guard_that_is_told_to_end_stops_the_family_first(stage: Stage, number: signal.Signals) -> None:
    """With more patience than for a dead owner, so only those that heed SIGTERM are gone at once."""
    guard, deaf = stage.guard, stage.family.pop("deaf")
    guard.send_signal(number)
    assert wait_gone(stage.family.values(), 1.0) == []
    assert deaf.alive
    assert guard.alive
    deaf.send_signal(signal.SIGKILL)
    assert wait_gone([guard], 1.0) == []
    assert stage.say() == f"ended {-signal.SIGTERM} True"


def test_stop_ends_the_deaf_after_the_grace(stage: Stage) -> None:
    everybody = stage.everybody()
    stage.owner.send_signal(signal.SIGUSR1)
    assert stage.say() == f"ended {-signal.SIGTERM} True"
    assert wait_gone(everybody, 0) == []
    assert not (stage.folder / "engine.json").exists()


def test_an_engine_that_is_killed_takes_its_family_along_and_is_told_apart_from_one_we_stopped(stage: Stage) -> None:
    everybody = stage.everybody()
    stage.family["engine"].send_signal(signal.SIGKILL)
    assert stage.say() == f"ended {-signal.SIGKILL} False"
    assert wait_gone(everybody, 0) == []


def test_an_engine_that_exits_leaves_no_children_behind(tmp_path: Path) -> None:
    stage = start(tmp_path, "leave")
    try:
        assert stage.say() == "ended 3 False"
        assert [who for who in stage.family.values() if who.alive] == []
    finally:
        end(stage)


def test_worker_and_guard_killed_together_leave_only_what_the_next_worker_sweeps(stage: Stage) -> None:
    """The engine itself dies with its guard; those below it are in the record once the worker has looked."""
    everybody, record = stage.everybody(), stage.folder / "engine.json"
    record_of_all = [stage.guard, *stage.family.values()]
    stage.owner.send_signal(signal.SIGSTOP)  # it can clean up nothing
    stage.guard.send_signal(signal.SIGKILL)
    stage.owner.kill()
    stage.owner.wait()
    assert wait_gone([stage.family["engine"]], 1.0) == []
    write_json(record, record_of_all)
    assert end_leftovers(record) > 0
    assert wait_gone(everybody, 0) == []
    assert end_leftovers(record) == 0


def test_an_engine_inherits_nothing_but_its_three_streams(tmp_path: Path) -> None:
    code = "import os, sys; print(sorted(os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')[:-1]))"
    owner = subprocess.Popen(
        [sys.executable, HERE / "owner.py", tmp_path, sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert [owner.stdout.readline(), owner.stdout.readline()] == ["runs\n", "ended 0 False\n"]
    owner.kill()
    owner.communicate()
    assert (tmp_path / "log").read_text().strip() == str(["/dev/null", str(tmp_path / "log"), str(tmp_path / "log")])


def test_without_a_subreaper_the_recorded_tree_still_finds_orphans() -> None:
    script = "import os, signal; pid = os.fork(); pid and print(pid, flush=True); signal.pause()"
    root = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert root.stdout is not None
    orphan = ProcessIdentity.of(int(root.stdout.readline()))
    tree = RecordedTree(root.pid)
    tree.record()
    root.kill()
    root.wait()
    assert not tree.gone()
    tree.send(signal.SIGKILL)
    assert wait_gone([orphan], 1.0) == []
    assert tree.gone()
    root.stdout.close()
