from __future__ import annotations

from pathlib import Path

from argosy.config.environment import Environment
from argosy.doctor import machine


def folder(path: Path, *, wanted_bytes: int = 0, private: bool = True) -> tuple[str, str, str]:
    found = machine.folder("home", path, variable="ARGOSY_HOME", wanted_bytes=wanted_bytes, private=private)
    return found.level, found.found, found.cure


def test_a_folder_that_will_be_made_is_well_and_is_not_made(tmp_path: Path) -> None:
    level, found, _ = folder(tmp_path / "a" / "b")
    assert level == "ok"
    assert "made when it is needed" in found
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_others_can_look_into_is_told_with_its_cure(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert folder(tmp_path)[::2] == ("warn", f"chmod 700 {tmp_path}")
    assert folder(tmp_path, private=False)[0] == "ok"
    tmp_path.chmod(0o700)
    assert folder(tmp_path)[0] == "ok"


def test_a_file_in_place_of_a_folder_fails(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert folder(file / "home") == ("fail", f"{file} is no folder", "move it away, or set ARGOSY_HOME")


def test_little_space_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    level, found, cure = folder(tmp_path, wanted_bytes=1 << 62)
    assert (level, cure) == ("warn", "make room, or set ARGOSY_HOME to a folder on another disk")
    assert "that is little" in found


def test_python_memory_and_clock_say_what_they_found() -> None:
    assert "Python 3." in machine.python().found
    assert "available" in machine.memory().found
    assert machine.clock().level == "ok"


def test_gpus_are_told_or_why_none_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "devices.yaml"
    environment = Environment.read({"ARGOSY_DEVICES": str(file)})
    assert machine.gpus(environment).level == "fail"
    file.write_text(
        "devices: [{index: 0, name: A100, memory: 80GiB, used: 20GiB}, {index: 1, name: A100, memory: 80GiB}]"
    )
    assert machine.gpus(environment).found == "2 of kind A100 (simulated), 140.0 GiB of 160.0 GiB free"
    assert machine.gpus(Environment.read({})).found
