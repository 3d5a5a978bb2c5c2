"""What the fuzz has found, played first and always: tests/fuzz/cases."""

from __future__ import annotations

from pathlib import Path

import pytest
from case import kept, read
from live import LiveDoor


@pytest.mark.parametrize("file", kept(), ids=lambda file: file.stem)
def test_what_was_found_once_stays_mended(file: Path, request: pytest.FixtureRequest) -> None:
    case = read(file)
    door: LiveDoor = request.getfixturevalue("locked" if case.door == "locked" else "door")
    door.play(case)
