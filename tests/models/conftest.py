"""What a test of fetching is given."""

from __future__ import annotations

from pathlib import Path

import pytest
from asker import Asker


@pytest.fixture
def ask(tmp_path: Path) -> Asker:
    home = tmp_path / "home"
    home.mkdir()
    variables = {"HOME": str(home), "HF_HOME": str(home / "hf"), "NO_PROXY": "127.0.0.1"}
    return Asker(tmp_path / "cache", variables)
