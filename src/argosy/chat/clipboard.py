"""Puts a text into the clipboard: by the desktop's own program, and by the terminal itself (OSC 52), also over ssh."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

_SECONDS = 5.0
# A program, and the variable of a desktop that it needs.
_PROGRAMS = (
    (("pbcopy",), None),
    (("wl-copy",), "WAYLAND_DISPLAY"),
    (("xclip", "-selection", "clipboard"), "DISPLAY"),
    (("xsel", "--clipboard", "--input"), "DISPLAY"),
    (("clip.exe",), "WSL_DISTRO_NAME"),
)


def copy(text: str, *, terminal: TextIO | None, variables: Mapping[str, str]) -> str | None:
    """By what it was copied; None where there is no way. `terminal`: None where the output goes elsewhere."""
    ways = []
    if (program := find_program(variables)) is not None:
        try:
            # Some stay in the background to serve the text: they must not hold our output open.
            subprocess.run(
                program,
                input=text.encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=True,
            )
            ways.append(Path(program[0]).name)
        except (OSError, subprocess.SubprocessError):
            pass  # a desktop that is gone: the terminal may still do it
    if terminal is not None:
        terminal.write(osc52(text))
        terminal.flush()
        ways.append("the terminal")
    return " and ".join(ways) or None


def find_program(variables: Mapping[str, str]) -> tuple[str, ...] | None:
    for argv, variable in _PROGRAMS:
        found = shutil.which(argv[0], path=variables.get("PATH"))
        if found is not None and (variable is None or variables.get(variable)):
            return (found, *argv[1:])
    return None


def osc52(text: str) -> str:
    """https://invisible-island.net/xterm/ctlseqs/ctlseqs.html, Operating System Commands, 52"""
    return f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07"
