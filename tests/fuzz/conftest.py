"""The doors that the fuzz knocks at, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from live import LiveDoor

from command import Argosy


def _door(factory: pytest.TempPathFactory, *, locked: bool) -> Iterator[LiveDoor]:
    base = factory.mktemp("door")
    home, folder = base / "home", base / "work"
    home.mkdir(mode=0o700)
    folder.mkdir()
    with LiveDoor(Argosy(home, folder), locked=locked) as door:
        yield door


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDoor]:
    yield from _door(tmp_path_factory, locked=False)


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDoor]:
    yield from _door(tmp_path_factory, locked=True)
