import os
from pathlib import Path

from argosy.telemetry.rotation import RotatingLog


def test_a_small_file_is_left_alone(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "a.log", limit_bytes=100)
    assert not log.rotate_if_large()
    log.path.write_text("few")
    assert not log.rotate_if_large()
    assert log.path.read_text() == "few"


def test_writers_that_hold_the_file_open_go_on_in_the_emptied_file(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "a.log", limit_bytes=100)
    writer = os.open(log.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(writer, b"x" * 101)
        assert log.rotate_if_large()
        os.write(writer, b"after")
    finally:
        os.close(writer)
    assert log.path.read_bytes() == b"after"
    assert (tmp_path / "a.log.1").read_bytes() == b"x" * 101


def test_three_old_files_are_kept(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "a.log", limit_bytes=1)
    for text in ["first", "second", "third", "fourth", "fifth"]:
        log.path.write_text(text)
        assert log.rotate_if_large()
    assert [(tmp_path / f"a.log.{n}").read_text() for n in (1, 2, 3)] == ["fifth", "fourth", "third"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2", "a.log.3"]
