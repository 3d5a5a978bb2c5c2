"""docs/guide/fastchat-pieces.md from its first command to its last, with the real FastChat where it speaks of that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from package import Package, package
from session import Session

from command import Argosy
from pages import ROOT, Page

pytestmark = pytest.mark.model


@pytest.fixture
def real(smollm2: Path) -> Package:
    return package(smollm2)


@pytest.fixture
def session(argosy: Argosy, real: Package) -> Iterator[Session]:
    found = Session(argosy, fastchat=real.python)
    found.env |= {"LOGDIR": str(found.folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    yield found
    found.close()


def test_the_page_of_old_pieces_does_what_it_says(session: Session, real: Package) -> None:
    (session.folder / "smollm2").symlink_to(real.model)
    session.page(Page.read(ROOT / "docs" / "guide" / "fastchat-pieces.md"))
