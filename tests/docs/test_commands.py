"""Every command of README and docs/ is run, in the order of its page, and shows what the page says it shows.

How: session.py. README's `make up` runs in a copy of the tree, with this environment instead of what `make setup`
installs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from session import Session, missing

from command import Argosy
from pages import ROOT, Command, Page, english

_NOT_HERE = ("", "client", "fastchat", "skip")
PAGES = [page for page in english() if any(block.kind not in _NOT_HERE for block in page.blocks())]
WITH_MODELS = [page for page in PAGES if page.models()]
WITHOUT = [page for page in PAGES if page.name != "README.md" and not page.models()]


@pytest.fixture
def session(argosy: Argosy) -> Iterator[Session]:
    found = Session(argosy)
    yield found
    found.close()


@pytest.mark.parametrize("page", WITHOUT, ids=lambda page: page.name)
def test_the_commands_of_a_page_do_what_it_says(page: Page, session: Session) -> None:
    session.page(page)


@pytest.mark.model
@pytest.mark.parametrize("page", WITH_MODELS, ids=lambda page: page.name)
def test_the_commands_of_a_page_with_a_model_do_what_it_says(page: Page, session: Session, smollm2: Path) -> None:
    assert page.models() == ["smollm2"]
    session.keep("smollm2", smollm2)
    session.page(page)


@pytest.mark.model
def test_the_readme_leads_from_nothing_to_an_answer(session: Session, smollm2: Path) -> None:
    session.tree(smollm2)
    for block in Page.read(ROOT / "README.md").blocks():
        session.block(block)
    session.leave()


def test_figures_are_free_and_words_are_not() -> None:
    command = Command("x", ("smollm2.0  ready  http://127.0.0.1:42215 after 3.5 s", "… ends"))
    assert missing(command, "smollm2.1  ready  http://127.0.0.1:1 after 12 s\nit ends\n") == []
    assert missing(command, "smollm2.1  failed  http://127.0.0.1:1 after 12 s\nends\n") == list(command.shown)
