from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from command import Argosy


@pytest.fixture
def argosy(home: Path, tmp_path: Path) -> Iterator[Argosy]:
    folder = tmp_path / "work"
    folder.mkdir()
    command = Argosy(home, folder)
    yield command
    command.end()
