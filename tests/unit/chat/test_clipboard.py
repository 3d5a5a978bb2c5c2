import io
from pathlib import Path

from argosy.chat.clipboard import copy, find_program, osc52


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_the_terminal_is_asked_where_the_desktop_has_no_program(tmp_path: Path) -> None:
    terminal = io.StringIO()
    assert copy("你好", terminal=terminal, variables={"PATH": str(tmp_path), "DISPLAY": ":0"}) == "the terminal"
    assert terminal.getvalue() == osc52("你好") == "\x1b]52;c;5L2g5aW9\x07"
    assert copy("x", terminal=None, variables={"PATH": str(tmp_path)}) is None


def test_a_desktops_program_gets_the_text(tmp_path: Path) -> None:
    program(tmp_path, "xclip", f"exec /bin/cat > {tmp_path}/copied")
    variables = {"PATH": str(tmp_path), "DISPLAY": ":0"}
    assert find_program({"PATH": str(tmp_path)}) is None
    assert copy("你好", terminal=None, variables=variables) == "xclip"
    assert (tmp_path / "copied").read_text() == "你好"
    program(tmp_path, "xclip", "exit 1")
    assert copy("你好", terminal=None, variables=variables) is None
