"""What tests of every layer share: folders of their own, the demonstration model."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.config.environment import Environment
from argosy.models.catalog import CATALOG
from command import Argosy
from real_models import weights

# A shell starts what runs in its background with this signal ignored, and all below inherits that: nothing could be
# interrupted as a user does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty ARGOSY_HOME."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def environment(home: Path, tmp_path: Path) -> Environment:
    """Of a process that was given only its folders: nothing of the machine that runs the tests."""
    variables = {"ARGOSY_HOME": str(home), "ARGOSY_CACHE": str(tmp_path / "cache"), "PATH": os.environ["PATH"]}
    return Environment.read(variables)


@pytest.fixture
def argosy(home: Path, tmp_path: Path) -> Iterator[Argosy]:
    """The command as a user runs it, in a folder of its own."""
    folder = tmp_path / "work"
    folder.mkdir()
    command = Argosy(home, folder)
    yield command
    command.end()


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The demonstration model."""
    return weights("smollm2")


@pytest.fixture(scope="session")
def qwen05() -> Path:
    """A model that knows tools. It has 491 MB: tests take it where ARGOSY_TEST_MODELS has it, nothing fetches it."""
    file = CATALOG["qwen2.5-coder:0.5b"].file
    found = Path(os.environ.get("ARGOSY_TEST_MODELS", ""), file)
    if not found.is_file():
        pytest.skip(f"ARGOSY_TEST_MODELS names no folder with {file}")
    return found
